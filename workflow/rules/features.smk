# features: predictors and targets side by side in one table. No learning.
if TABLE:

    rule read_table:
        input:
            table=TABLE["samples"],
        output:
            samples="results/features/samples.parquet",
        log:
            "logs/read_table.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            columns=TABLE["columns"],
            predictors=PREDICTORS,
            where=TABLE["where"],
            years=config["years"],
            months=config["months"],
            lib=lib("_table"),
        script:
            "../scripts/read_table.py"

else:

    rule sample_stations:
        input:
            rasters=rasters_of,
            grid=rules.define_grid.output.grid,
            sites=SITE_TABLE,
        output:
            samples="results/features/stations{variant}.parquet",
        log:
            "logs/sample_stations{variant}.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            months=MONTHS,
            predictors=sampled,
            crs=METRES,
            lib=lib("_raster", "_samples", "_stations", "_table"),
        script:
            "../scripts/sample_stations.py"

    rule sample_smci:
        input:
            rasters=rasters_of,
            smci=smci_of(MONTHS),
            grid=rules.define_grid.output.grid,
            lonlat=rules.define_grid.output.lonlat,
            sites=SITE_TABLE,
        output:
            samples="results/features/smci{variant}.parquet",
        log:
            "logs/sample_smci{variant}.log",
        conda:
            "../../envs/soilmoisture.yaml"
        resources:
            mem_mb=growing(600, 80),
            runtime=growing(10, 2),
        params:
            months=MONTHS,
            predictors=sampled,
            cells=of_study("samples", "smci_cells"),
            months_per_cell=of_study("samples", "months_per_cell"),
            station_distance=of_study("samples", "station_distance"),
            aspect=of_study("samples", "aspect"),
            strata=["DEM", "sand", *(["SMC"] if SMC else [])],
            seed=config["model"]["seed"],
            crs=METRES,
            lib=lib("_raster", "_samples", "_stations", "_table"),
        script:
            "../scripts/sample_smci.py"

    rule join_samples:
        input:
            stations=rules.sample_stations.output.samples if STATIONS else [],
            smci=rules.sample_smci.output.samples if SMCI else [],
            insitu="results/interim/insitu.csv" if STATIONS else [],
        output:
            samples="results/features/samples{variant}.parquet",
        log:
            "logs/join_samples{variant}.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            predictors=learned,
            min_lst=of_study("samples", "min_lst"),
            max_albedo=of_study("samples", "max_albedo"),
            lib=lib("_table"),
        script:
            "../scripts/join_samples.py"

    rule sample_products:
        input:
            samples="results/features/samples.parquet",
            smci=smci_of(MONTHS),
            smc=smc_of(MONTHS),
            era5land=expand("results/interim/era5land/{month}.tif", month=MONTHS),
        output:
            products="results/features/products.parquet",
        log:
            "logs/sample_products.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            crs=METRES,
            lib=lib("_raster", "_table"),
        script:
            "../scripts/sample_products.py"


rule sample_area:
    input:
        rasters=predictor_rasters(MONTHS, PREDICTORS),
        grid=[] if TABLE else rules.define_grid.output.grid,
    output:
        area="results/features/area.parquet",
    log:
        "logs/sample_area.log",
    conda:
        "../../envs/soilmoisture.yaml"
    params:
        months=MONTHS,
        predictors=PREDICTORS,
        points=config["samples"]["area_points"],
        seed=config["model"]["seed"],
        crs=METRES,
        lib=lib("_raster", "_samples", "_table"),
    script:
        "../scripts/sample_area.py"
