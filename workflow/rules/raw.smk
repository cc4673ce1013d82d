# raw: the archives as their producers deliver them, into resources/raw: simulated, fetched or linked.
if SIMULATED:

    # One job a year. Composites do not start on the same days in leap years, so no wildcard
    # pattern names them all: the loop does.
    for year in YEARS:

        rule:
            name:
                f"simulate_granules_{year}"
            output:
                granules=granules_starting_in(year),
            log:
                f"logs/simulate_granules/{year}.log",
            conda:
                "../../envs/soilmoisture.yaml"
            params:
                **config["simulation"],
                area=AREA["box"],
                lib=lib("_archive", "_calendar", "_hdfeos", "_world"),
            script:
                "../scripts/simulate_granules.py"

    rule simulate_land:
        output:
            elevation=expand(
                "resources/raw/dem/{tile}.hgt", tile=_config.degree_cells(AREA["box"])
            ),
            sand="resources/raw/soil/sand_0-5cm_mean.tif",
            silt="resources/raw/soil/silt_0-5cm_mean.tif",
            clay="resources/raw/soil/clay_0-5cm_mean.tif",
        log:
            "logs/simulate_land.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            **config["simulation"],
            area=AREA["box"],
            lib=lib("_raster", "_world"),
        script:
            "../scripts/simulate_land.py"

    rule simulate_stations:
        input:
            gauges=_config.located(config["rain"]["gauges"], ROOT),
            sites=_config.located(config["insitu"]["sites"], ROOT) if STATIONS else [],
        output:
            rain=expand("resources/raw/rain/{{year}}/{gauge}.csv", gauge=GAUGES),
            insitu=expand("resources/raw/insitu/{{year}}/{site}.csv", site=SITES),
        log:
            "logs/simulate_stations/{year}.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            **config["simulation"],
            area=AREA["box"],
            months=config["months"],
            lib=lib("_world"),
        script:
            "../scripts/simulate_stations.py"

    rule simulate_fields:
        output:
            smci=[
                f"resources/raw/smci/SMCI_1km_{{year}}_{SMCI_DEPTH}cm/{part}.nc"
                for part in ("north", "south")
            ],
            smc=expand("resources/raw/smc/SMC_{{year}}{month}.tif", month=SEASON),
            era5land="resources/raw/era5land/{year}.nc",
            truth=expand("resources/truth/{{year}}-{month}.tif", month=SEASON),
        log:
            "logs/simulate_fields/{year}.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            **config["simulation"],
            area=AREA["box"],
            months=config["months"],
            lib=lib("_raster", "_world"),
        script:
            "../scripts/simulate_fields.py"

elif not TABLE:
    # How files are fetched (speed, patience, mirrors) stands in `resources`, which never make a
    # job run again; and no shared code is hashed: a file is the producer's, however it came.
    FETCHING = dict(
        downloads=1,
        parallel=config["downloads"]["parallel"],
        tries=config["downloads"]["tries"],
        timeout=config["downloads"]["timeout"],
    )
    ADDRESS = config["addresses"]

    if ROADS["modis"] == "earthdata":
        # One job a product and year; composites do not start on the same days in leap years,
        # so no wildcard pattern names them all: the loop does.
        for variable in MODIS:
            for year in start_years(variable):

                rule:
                    name:
                        f"fetch_modis_{variable}_{year}"
                    output:
                        granules=passing(granules_starting_in(year, variable)),
                    log:
                        f"logs/fetch_modis/{variable}_{year}.log",
                    localrule: True
                    conda:
                        "../../envs/soilmoisture.yaml"
                    resources:
                        **FETCHING,
                        keep=int(KEEP),
                        cmr=ADDRESS["cmr"],
                        earthdata=ADDRESS["earthdata"],
                    params:
                        store="resources/store/modis",
                    script:
                        "../scripts/fetch_modis.py"

    if ROADS["modis"] == "appeears":

        rule fetch_appeears:
            output:
                clip="resources/raw/appeears/{variable}/{year}.nc",
            log:
                "logs/fetch_appeears/{variable}/{year}.log",
            localrule: True
            conda:
                "../../envs/soilmoisture.yaml"
            resources:
                **FETCHING,
                address=ADDRESS["appeears"],
            params:
                days=days_of_clip,
                box=AREA["box"],
                store="resources/store/appeears",
            script:
                "../scripts/fetch_appeears.py"

    if ROADS["elevation"] in ("srtm", "copernicus"):

        rule fetch_elevation:
            output:
                elevation=raw_of("elevation"),
            log:
                "logs/fetch_elevation.log",
            localrule: True
            conda:
                "../../envs/soilmoisture.yaml"
            resources:
                **FETCHING,
                cmr=ADDRESS["cmr"],
                earthdata=ADDRESS["earthdata"],
                copernicus=ADDRESS["copernicus"],
            params:
                road=ROADS["elevation"],
                store=f"resources/store/{ROADS['elevation']}",
            script:
                "../scripts/fetch_elevation.py"

    if ROADS["soil"] == "soilgrids":

        rule fetch_soil:
            output:
                **SOIL,
            log:
                "logs/fetch_soil.log",
            localrule: True
            conda:
                "../../envs/soilmoisture.yaml"
            resources:
                **FETCHING,
                address=ADDRESS["soilgrids"],
            params:
                box=AREA["box"],
            script:
                "../scripts/fetch_soil.py"

    if ROADS["rain"] == "gsod":
        # A gauge may lack a file in some years, so the files of a year are no pattern either.
        for year in YEARS:

            rule:
                name:
                    f"fetch_rain_{year}"
                output:
                    stations=rain_files(year),
                log:
                    f"logs/fetch_rain/{year}.log",
                localrule: True
                conda:
                    "../../envs/soilmoisture.yaml"
                resources:
                    **FETCHING,
                    address=ADDRESS["gsod"],
                params:
                    year=year,
                    store="resources/store/gsod",
                script:
                    "../scripts/fetch_rain.py"

    if ROADS["smc"] == "zenodo":

        rule fetch_smc:
            output:
                months=raw_of("smc"),
            log:
                "logs/fetch_smc.log",
            localrule: True
            conda:
                "../../envs/soilmoisture.yaml"
            resources:
                **FETCHING,
                address=ADDRESS["zenodo"],
            params:
                record=config["smc"]["record"],
                store="resources/store/smc",
            script:
                "../scripts/fetch_smc.py"

    if ROADS["era5land"] == "cds":

        rule fetch_era5land:
            output:
                delivered="resources/raw/era5land/{year}.nc",
            log:
                "logs/fetch_era5land/{year}.log",
            localrule: True
            conda:
                "../../envs/soilmoisture.yaml"
            resources:
                **FETCHING,
                address=ADDRESS["cds"],
            params:
                months=config["months"],
                box=AREA["box"],
                store="resources/store/era5land",
            script:
                "../scripts/fetch_era5land.py"

    # Folders that the user already has: found by name, checked, linked, never changed.
    for label, (source, finals) in linked().items():

        rule:
            name:
                f"link_files_{label}"
            input:
                files=partial(files_to_link, source, finals),
            output:
                links=finals,
            log:
                f"logs/link_files/{label}.log",
            localrule: True
            conda:
                "../../envs/soilmoisture.yaml"
            params:
                source=source,
                candidates=partial(choice_of_links, source, finals),
                lib=lib("_archive", "_folder", "_granule"),
            script:
                "../scripts/link_files.py"


onstart:
    # Snakemake's limit of 100 jobs a second looks at every ready job's inputs again each second, once
    # more for each job that has ended. On one machine nothing needs the limit.
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None
    if not TABLE:
        before_start(workflow.dag)


if not TABLE:

    # What the study needs, what is there, what is missing, how to get it. No network.
    rule inputs:
        log:
            "logs/inputs.log",
        localrule: True
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            needed=needs,
            box=AREA["box"],
            keep=config["downloads"]["keep_raw"],
            daily=daily_albedo(),
        script:
            "../scripts/inputs.py"

    # All that a service delivers or a folder holds.
    rule fetch:
        input:
            fetchable(),
