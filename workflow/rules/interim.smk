# interim: one product at a time, by months, on the one grid.
if not TABLE:

    # Every file of the archive is hashed before the first job that reads it. The lock stands in
    # `resources`: to set one makes nothing run again, tables that are there are compared at start.
    rule check_inputs:
        input:
            files=inputs_of,
        output:
            table="results/interim/inputs/{batch}.csv",
        log:
            "logs/check_inputs/{batch}.log",
        wildcard_constraints:
            batch="|".join(batches()),
        conda:
            "../../envs/soilmoisture.yaml"
        resources:
            lock=LOCK or "",
        params:
            lib=lib("_lock"),
        script:
            "../scripts/check_inputs.py"

    rule define_grid:
        input:
            polygon=AREA["polygon"] or [],
        output:
            grid="results/interim/grid.tif",
            lonlat="results/interim/lonlat.tif",
        log:
            "logs/define_grid.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            box=AREA["box"],
            crs=config["grid"]["crs"],
            resolution=config["grid"]["resolution"],
            lib=lib("_projection", "_raster"),
        script:
            "../scripts/define_grid.py"

    rule index_modis:
        input:
            lonlat=rules.define_grid.output.lonlat,
        output:
            index="results/interim/modis_index.tif",
        log:
            "logs/index_modis.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            lib=lib("_raster"),
        script:
            "../scripts/index_modis.py"

    if ROADS["modis"] == "appeears":

        rule composite_clips:
            input:
                clips=clips_of_year,
                grid=rules.define_grid.output.grid,
                index=rules.index_modis.output.index,
                checked="results/interim/inputs/{variable}_{year}.csv",
            output:
                composites=expand(
                    "results/interim/{{variable}}/{{year}}-{month}.tif", month=SEASON
                ),
            log:
                "logs/composite_clips/{variable}/{year}.log",
            conda:
                "../../envs/soilmoisture.yaml"
            resources:
                mem_mb=growing(800, 80),
                runtime=growing(10, 2),
            params:
                assign=config["modis"]["assign"],
                albedo_every=config["modis"]["albedo_every"],
                qa=config["modis"]["qa"],
                days=days_of_months,
                lib=lib("_appeears", "_calendar", "_composite", "_granule", "_raster"),
            script:
                "../scripts/composite_clips.py"

    else:

        # Before others that are ready: with keep_raw: false it makes room for the next year.
        rule composite_modis:
            input:
                granules=granules_of_year,
                grid=rules.define_grid.output.grid,
                index=rules.index_modis.output.index,
                checked="results/interim/inputs/{variable}_{year}.csv",
            output:
                composites=expand(
                    "results/interim/{{variable}}/{{year}}-{month}.tif", month=SEASON
                ),
            log:
                "logs/composite_modis/{variable}/{year}.log",
            priority: 1
            conda:
                "../../envs/soilmoisture.yaml"
            resources:
                mem_mb=growing(800, 80),
                runtime=growing(10, 2),
            params:
                assign=config["modis"]["assign"],
                albedo_every=config["modis"]["albedo_every"],
                qa=config["modis"]["qa"],
                lib=lib("_calendar", "_composite", "_granule", "_raster"),
            script:
                "../scripts/composite_modis.py"

    rule derive_terrain:
        input:
            elevation=raw_of("elevation"),
            grid=rules.define_grid.output.grid,
            checked="results/interim/inputs/elevation.csv",
        output:
            terrain="results/interim/terrain.tif",
        log:
            "logs/derive_terrain.log",
        conda:
            "../../envs/soilmoisture.yaml"
        resources:
            mem_mb=growing(500, 80),
            runtime=growing(10, 1),
        params:
            crs=METRES,
            resolution=config["terrain"]["resolution"],
            aggregate=config["terrain"]["aggregate"],
            absent=config["terrain"]["absent"],
            lib=lib("_projection", "_raster"),
        script:
            "../scripts/derive_terrain.py"

    rule derive_soil:
        input:
            **SOIL,
            grid=rules.define_grid.output.grid,
            lonlat=rules.define_grid.output.lonlat,
            checked="results/interim/inputs/soil.csv",
        output:
            soil="results/interim/soil.tif",
        log:
            "logs/derive_soil.log",
        conda:
            "../../envs/soilmoisture.yaml"
        resources:
            mem_mb=growing(500, 60),
            runtime=growing(10, 1),
        params:
            awc=config["soil"]["awc"],
            lib=lib("_raster"),
        script:
            "../scripts/derive_soil.py"

    rule stack_static:
        input:
            soil=rules.derive_soil.output.soil,
            terrain=rules.derive_terrain.output.terrain,
        output:
            static="results/interim/static.tif",
        log:
            "logs/stack_static.log",
        conda:
            "../../envs/soilmoisture.yaml"
        resources:
            mem_mb=growing(500, 80),
            runtime=growing(10, 1),
        params:
            lib=lib("_predictors", "_raster"),
        script:
            "../scripts/stack_static.py"

    if POSITION:

        rule derive_position:
            input:
                terrain=rules.derive_terrain.output.terrain,
            output:
                position="results/interim/position.tif",
            log:
                "logs/derive_position.log",
            conda:
                "../../envs/soilmoisture.yaml"
            params:
                predictors=POSITION,
                crs=METRES,
                lib=lib("_predictors", "_raster"),
            script:
                "../scripts/derive_position.py"

    rule average_rain:
        input:
            stations=rain_of_year,
            checked="results/interim/inputs/rain_{year}.csv",
        output:
            totals="results/interim/rain/{year}.csv",
        log:
            "logs/average_rain/{year}.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            months=config["months"],
            incomplete=config["rain"]["incomplete"],
            min_share=config["rain"]["min_share"],
            lib=lib("_table"),
        script:
            "../scripts/average_rain.py"

    # Fitted on the training months only, so that a test year added to the end leaves the rain of
    # all others as it was and no test month enters what the model learns from.
    rule fit_variogram:
        input:
            totals=expand("results/interim/rain/{year}.csv", year=TRAIN_YEARS),
            static=rules.stack_static.output.static if RAIN == "drift" else [],
            climatology=CLIMATOLOGY,
        output:
            variogram="results/interim/variogram.json",
            scores="results/interim/rain_scores.csv",
        log:
            "logs/fit_variogram.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            months=TRAIN_MONTHS,
            crs=METRES,
            model=config["rain"]["model"],
            method=RAIN,
            season=SEASON,
            lib=lib("_kriging", "_metrics", "_rain", "_raster", "_stations", "_table"),
        script:
            "../scripts/fit_variogram.py"

    rule krige_rain:
        input:
            totals=rules.average_rain.output.totals,
            variogram=rules.fit_variogram.output.variogram,
            grid=rules.define_grid.output.grid,
            static=rules.stack_static.output.static if RAIN == "drift" else [],
            climatology=CLIMATOLOGY if RAIN == "climatology" else [],
        output:
            rain=expand("results/interim/pre/{{year}}-{month}.tif", month=SEASON),
        log:
            "logs/krige_rain/{year}.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            crs=METRES,
            method=RAIN,
            lib=lib("_kriging", "_rain", "_raster", "_stations"),
        script:
            "../scripts/krige_rain.py"

    if STATION_FORMAT != "csv":

        rule read_stations:
            input:
                archive=archive_of_stations,
                sites=_config.located(config["insitu"]["sites"], ROOT),
                checked="results/interim/inputs/insitu.csv",
            output:
                readings=expand(
                    "results/interim/readings/{year}/{site}.csv",
                    year=YEARS,
                    site=SITES,
                ),
                table="results/interim/sites.csv",
            log:
                "logs/read_stations.log",
            conda:
                "../../envs/soilmoisture.yaml"
            params:
                format=STATION_FORMAT,
                depth=config["insitu"]["depth"],
                network=config["insitu"]["network"] or "",
                flags=config["insitu"]["flags"],
                mapping=mapping_of_tables,
                years=config["years"],
                lib=lib("_ismn", "_readings", "_stations", "_table"),
            script:
                "../scripts/read_stations.py"

    rule average_insitu:
        input:
            sites=SITE_TABLE,
            series=expand(READINGS, site=SITES),
            checked=CHECKED_READINGS,
        output:
            means="results/interim/insitu/{year}.csv",
        log:
            "logs/average_insitu/{year}.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            months=config["months"],
            depth=config["insitu"]["depth"],
            min_share=config["insitu"]["min_share"],
            min_days=config["insitu"]["min_days"],
            valid=config["insitu"]["valid"],
            min_temperature=config["insitu"]["min_temperature"],
            lib=lib("_stations", "_table"),
        script:
            "../scripts/average_insitu.py"

    rule join_years:
        input:
            years=expand("results/interim/{{table}}/{year}.csv", year=YEARS),
        output:
            table="results/interim/{table}.csv",
        log:
            "logs/join_years/{table}.log",
        wildcard_constraints:
            table="rain|insitu",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            lib=lib("_table"),
        script:
            "../scripts/join_years.py"

    rule average_smci:
        input:
            pieces=smci_of_year,
            checked="results/interim/inputs/smci_{year}.csv",
        output:
            months=expand("results/interim/smci/{{year}}-{month}.tif", month=SEASON),
        log:
            "logs/average_smci/{year}.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            box=AREA["box"],
            variable=config["smci"]["variable"],
            depth=config["smci"]["depth"],
            scale=config["smci"]["scale"],
            nodata=config["smci"]["nodata"],
            lib=lib("_raster"),
        script:
            "../scripts/average_smci.py"

    rule regrid_smc:
        input:
            months=expand("resources/raw/smc/SMC_{{year}}{month}.tif", month=SEASON),
            checked="results/interim/inputs/smc_{year}.csv",
            grid=rules.define_grid.output.grid,
            lonlat=rules.define_grid.output.lonlat,
        output:
            months=expand("results/interim/smc/{{year}}-{month}.tif", month=SEASON),
        log:
            "logs/regrid_smc/{year}.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            resampling=config["smc"]["resampling"],
            scale=config["smc"]["scale"],
            nodata=config["smc"]["nodata"],
            lib=lib("_raster", "_smc"),
        script:
            "../scripts/regrid_smc.py"

    rule read_era5land:
        input:
            delivered="resources/raw/era5land/{year}.nc",
            checked="results/interim/inputs/era5land_{year}.csv",
        output:
            months=expand("results/interim/era5land/{{year}}-{month}.tif", month=SEASON),
        log:
            "logs/read_era5land/{year}.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            lib=lib("_era5land", "_raster"),
        script:
            "../scripts/read_era5land.py"

    if "ERA5Land" in PREDICTORS:

        rule regrid_era5land:
            input:
                era5land=expand(
                    "results/interim/era5land/{{year}}-{month}.tif", month=SEASON
                ),
                grid=rules.define_grid.output.grid,
                lonlat=rules.define_grid.output.lonlat,
            output:
                months=expand(
                    "results/interim/era5land_grid/{{year}}-{month}.tif", month=SEASON
                ),
            log:
                "logs/regrid_era5land/{year}.log",
            conda:
                "../../envs/soilmoisture.yaml"
            params:
                lib=lib("_raster"),
            script:
                "../scripts/regrid_era5land.py"

    # Predictors that the user brings: any grid, any CRS.
    for name in LAYERS:

        rule:
            name:
                f"regrid_layer_{name}"
            input:
                rasters=files_of_layer(name),
                grid=rules.define_grid.output.grid,
                lonlat=rules.define_grid.output.lonlat,
            output:
                layers=expand(
                    "results/interim/layers/{layer}/{month}.tif",
                    layer=name,
                    month=MONTHS if name in monthly_layers() else "all",
                ),
            log:
                f"logs/regrid_layer/{name}.log",
            conda:
                "../../envs/soilmoisture.yaml"
            params:
                name=name,
                unit=LAYERS[name]["unit"],
                resampling=LAYERS[name]["resampling"],
                lib=lib("_raster"),
            script:
                "../scripts/regrid_layer.py"
