# raw: the archives as their producers deliver them, into resources/raw. Here they are simulated.
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
            sites=_config.located(config["insitu"]["sites"], ROOT),
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
                "resources/raw/smci/SMCI_1km_{year}_10cm/north.nc",
                "resources/raw/smci/SMCI_1km_{year}_10cm/south.nc",
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
