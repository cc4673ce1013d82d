# maps: the forest applied to every cell of every month. One job a year: starting Python and
# loading the forest costs more than a month of a small study.
STYLED = expand(
    "results/maps/{kind}/{month}.tif",
    kind=["monthly", "lower", "upper", "di"],
    month=MONTHS,
)
if not TABLE:
    STYLED += expand("results/maps/annual/{year}.tif", year=ANNUAL)
    STYLED += expand("results/maps/climatology/{calendar}.tif", calendar=SEASON)
if RESIDUALS:

    rule map_residuals:
        input:
            residuals=rules.krige_residuals.output.residuals,
            variogram=rules.krige_residuals.output.variogram,
            grid=(
                expand(TABLE["rasters"], month=MONTHS[0])[0]
                if TABLE
                else rules.define_grid.output.grid
            ),
        output:
            residual="results/maps/residual.tif",
        log:
            "logs/map_residuals.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            unit=config["unit"],
            crs=METRES,
            lib=lib("_kriging", "_raster"),
        script:
            "../scripts/map_residuals.py"


for year in sorted({month[:4] for month in MONTHS}):
    MONTHS_OF_YEAR = [month for month in MONTHS if month.startswith(year)]
    HELD_OUT = [month for month in MONTHS_OF_YEAR if month.startswith(tuple(TEST))]

    rule:
        name:
            f"predict_maps_{year}"
        input:
            forest="results/model/forest.skops",
            leaves="results/model/leaves.npz",
            rasters=predictor_rasters(MONTHS_OF_YEAR),
            grid=[] if TABLE else rules.define_grid.output.grid,
        output:
            maps=expand("results/maps/forest/{month}.tif", month=MONTHS_OF_YEAR),
        log:
            f"logs/predict_maps/{year}.log",
        conda:
            "../../envs/soilmoisture.yaml"
        resources:
            mem_mb=growing(800, 130),
            runtime=growing(10, 3),
        params:
            months=MONTHS_OF_YEAR,
            screen=config["maps"]["screen"] and not TABLE,
            min_lst=config["samples"]["min_lst"],
            max_albedo=config["samples"]["max_albedo"],
            level=config["model"]["level"],
            unit=config["unit"],
            note="simulated" if SIMULATED else "",
            lib=lib("_forest", "_layers", "_quantiles", "_raster", "_stored"),
        script:
            "../scripts/predict_maps.py"

    rule:
        name:
            f"finish_maps_{year}"
        input:
            forest=expand("results/maps/forest/{month}.tif", month=MONTHS_OF_YEAR),
            residual="results/maps/residual.tif" if RESIDUALS else [],
            smci=smci_of(MONTHS_OF_YEAR),
            correction=rules.estimate_error.output.correction,
            grid=[] if TABLE else rules.define_grid.output.grid,
            lonlat=[] if TABLE else rules.define_grid.output.lonlat,
        output:
            monthly=expand("results/maps/monthly/{month}.tif", month=MONTHS_OF_YEAR),
            lower=expand("results/maps/lower/{month}.tif", month=MONTHS_OF_YEAR),
            upper=expand("results/maps/upper/{month}.tif", month=MONTHS_OF_YEAR),
            target=f"results/maps/target/{year}.csv",
        log:
            f"logs/finish_maps/{year}.log",
        conda:
            "../../envs/soilmoisture.yaml"
        resources:
            mem_mb=growing(500, 80),
            runtime=growing(10, 1),
        params:
            months=MONTHS_OF_YEAR,
            unit=config["unit"],
            note="simulated" if SIMULATED else "",
            lib=lib("_conserve", "_correction", "_metrics", "_raster", "_table"),
        script:
            "../scripts/finish_maps.py"

    rule:
        name:
            f"map_applicability_{year}"
        input:
            rows=rules.measure_applicability.output.rows,
            parameters=rules.measure_applicability.output.parameters,
            error_by_di=rules.measure_applicability.output.error_by_di,
            rasters=predictor_rasters(MONTHS_OF_YEAR),
            grid=[] if TABLE else rules.define_grid.output.grid,
        output:
            maps=expand("results/maps/di/{month}.tif", month=MONTHS_OF_YEAR),
            table=f"results/maps/applicability/{year}.csv",
        log:
            f"logs/map_applicability/{year}.log",
        conda:
            "../../envs/soilmoisture.yaml"
        resources:
            mem_mb=growing(800, 100),
            runtime=growing(10, 6),
        params:
            months=MONTHS_OF_YEAR,
            unit=config["unit"],
            note="simulated" if SIMULATED else "",
            lib=lib("_applicability", "_layers", "_raster", "_table"),
        script:
            "../scripts/map_applicability.py"

    # The baseline is mapped only where a truth can judge it, and only in the test months.
    if SIMULATED and "_paper" in STUDIES and HELD_OUT:

        rule:
            name:
                f"predict_maps_paper_{year}"
            input:
                forest="results/model/forest_paper.skops",
                leaves=[],
                rasters=predictor_rasters(
                    HELD_OUT, [*STUDIES["_paper"]["predictors"], *SCREEN]
                ),
                grid=rules.define_grid.output.grid,
            output:
                maps=expand("results/maps/paper/{month}.tif", month=HELD_OUT),
            log:
                f"logs/predict_maps/paper_{year}.log",
            conda:
                "../../envs/soilmoisture.yaml"
            resources:
                mem_mb=growing(800, 130),
                runtime=growing(10, 3),
            params:
                months=HELD_OUT,
                screen=config["maps"]["screen"],
                min_lst=config["samples"]["min_lst"],
                max_albedo=config["samples"]["max_albedo"],
                level=config["model"]["level"],
                unit=config["unit"],
                note="simulated",
                lib=lib("_forest", "_layers", "_quantiles", "_raster", "_stored"),
            script:
                "../scripts/predict_maps.py"


if not TABLE:

    rule average_maps:
        input:
            maps=expand("results/maps/monthly/{month}.tif", month=MONTHS),
        output:
            annual=expand("results/maps/annual/{year}.tif", year=ANNUAL),
            climatology=expand(
                "results/maps/climatology/{calendar}.tif", calendar=SEASON
            ),
        log:
            "logs/average_maps.log",
        conda:
            "../../envs/soilmoisture.yaml"
        resources:
            mem_mb=growing(500, 100),
            runtime=growing(10, 2),
        params:
            unit=config["unit"],
            note="simulated" if SIMULATED else "",
            year_begins=YEAR_BEGINS,
            lib=lib("_raster", "_season"),
        script:
            "../scripts/average_maps.py"

    rule trend_maps:
        input:
            maps=expand("results/maps/monthly/{year}-{{calendar}}.tif", year=YEARS),
            grid=rules.define_grid.output.grid,
            lonlat=rules.define_grid.output.lonlat,
        output:
            trend="results/maps/trend/{calendar}.tif",
            table="results/maps/trend/{calendar}.csv",
        log:
            "logs/trend_maps/{calendar}.log",
        conda:
            "../../envs/soilmoisture.yaml"
        resources:
            mem_mb=growing(500, 100),
            runtime=growing(10, 1),
        params:
            rate=config["trends"]["rate"],
            permutations=config["trends"]["permutations"],
            seed=config["model"]["seed"],
            unit=config["unit"],
            note="simulated" if SIMULATED else "",
            lib=lib("_area", "_raster", "_table", "_trend"),
        script:
            "../scripts/trend_maps.py"

    rule summarise_series:
        input:
            maps=expand("results/maps/monthly/{month}.tif", month=MONTHS),
            smci=smci_of(MONTHS),
            smc=smc_of(MONTHS),
            era5land=expand("results/interim/era5land/{month}.tif", month=MONTHS),
            rain=expand("results/interim/pre/{month}.tif", month=MONTHS),
            grid=rules.define_grid.output.grid,
        output:
            series="results/maps/series.csv",
            statistics="results/maps/series_statistics.csv",
        log:
            "logs/summarise_series.log",
        conda:
            "../../envs/soilmoisture.yaml"
        resources:
            mem_mb=growing(500, 80),
            runtime=growing(10, 2),
        params:
            permutations=config["trends"]["permutations"],
            seed=config["model"]["seed"],
            unit=config["unit"],
            years=ANNUAL,
            year_begins=YEAR_BEGINS,
            lib=lib("_area", "_metrics", "_raster", "_season", "_table", "_trend"),
        script:
            "../scripts/summarise_series.py"

    rule compare_products:
        input:
            maps=expand("results/maps/monthly/{month}.tif", month=MONTHS),
            smci=smci_of(MONTHS),
            smc=smc_of(MONTHS),
            era5land=expand("results/interim/era5land/{month}.tif", month=MONTHS),
            grid=rules.define_grid.output.grid,
            lonlat=rules.define_grid.output.lonlat,
        output:
            products=table("results/maps/products.csv"),
        log:
            "logs/compare_products.log",
        conda:
            "../../envs/soilmoisture.yaml"
        resources:
            mem_mb=growing(500, 80),
            runtime=growing(10, 2),
        params:
            test=TEST,
            lib=lib("_metrics", "_raster", "_scores", "_table"),
        script:
            "../scripts/compare_products.py"

    rule describe_maps:
        input:
            maps=expand("results/maps/monthly/{month}.tif", month=MONTHS),
            annual=rules.average_maps.output.annual,
            smci=smci_of(MONTHS_SHOWN),
            era5land=expand("results/interim/era5land/{month}.tif", month=MONTHS_SHOWN),
            ndvi=expand("results/interim/ndvi/{month}.tif", month=MONTHS_SHOWN),
            static=rules.stack_static.output.static,
            position=rules.derive_position.output.position if POSITION else [],
            grid=rules.define_grid.output.grid,
            lonlat=rules.define_grid.output.lonlat,
        output:
            description="results/maps/description.csv",
        log:
            "logs/describe_maps.log",
        conda:
            "../../envs/soilmoisture.yaml"
        resources:
            mem_mb=growing(500, 80),
            runtime=growing(10, 2),
        params:
            year=YEAR,
            year_begins=YEAR_BEGINS,
            lib=lib("_area", "_raster", "_season", "_table"),
        script:
            "../scripts/describe_maps.py"

    rule export_netcdf:
        input:
            **{
                kind: expand(
                    "results/maps/{kind}/{{year}}-{month}.tif", kind=kind, month=SEASON
                )
                for kind in ["monthly", "lower", "upper", "di"]
            },
            lonlat=rules.define_grid.output.lonlat,
        output:
            netcdf="results/maps/netcdf/soil_moisture_{year}.nc",
        log:
            "logs/export_netcdf/{year}.log",
        conda:
            "../../envs/soilmoisture.yaml"
        resources:
            mem_mb=growing(500, 60),
            runtime=growing(10, 1),
        params:
            months=expand("{{year}}-{month}", month=SEASON),
            depth=config["products"]["depth"],
            level=config["model"]["level"],
            unit=config["unit"],
            title=title,
            note="simulated data" if SIMULATED else "",
            lib=lib("_netcdf", "_raster"),
        script:
            "../scripts/export_netcdf.py"

    rule export_qa4sm:
        input:
            monthly=expand("results/maps/monthly/{month}.tif", month=MONTHS),
            lonlat=rules.define_grid.output.lonlat,
        output:
            netcdf="results/maps/netcdf/qa4sm.nc",
        log:
            "logs/export_qa4sm.log",
        conda:
            "../../envs/soilmoisture.yaml"
        resources:
            mem_mb=growing(500, 60),
            runtime=growing(10, 2),
        params:
            months=MONTHS,
            unit=config["unit"],
            title=title,
            lib=lib("_netcdf", "_raster"),
        script:
            "../scripts/export_qa4sm.py"

    rule build_catalogue:
        input:
            **{
                kind: expand(
                    "results/maps/{kind}/{month}.tif", kind=kind, month=MONTHS
                )
                for kind in ["monthly", "lower", "upper", "di"]
            },
            netcdf=expand("results/maps/netcdf/soil_moisture_{year}.nc", year=YEARS),
        output:
            collection="results/maps/collection.json",
            entries=expand("results/maps/items/{month}.json", month=MONTHS),
        log:
            "logs/build_catalogue.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            months=MONTHS,
            title=title,
            note="Simulated data." if SIMULATED else "",
            commit=commit(),
            lib=lib("_raster"),
        script:
            "../scripts/build_catalogue.py"


rule style_maps:
    input:
        maps=STYLED,
        monthly=expand("results/maps/monthly/{month}.tif", month=MONTHS),
    output:
        styles=[re.sub(r"tif$", "qml", path) for path in STYLED],
        project="results/maps/maps.qgs",
    log:
        "logs/style_maps.log",
    conda:
        "../../envs/soilmoisture.yaml"
    params:
        months=MONTHS,
        unit=config["unit"],
        title=title,
        lib=lib("_figures", "_raster"),
    script:
        "../scripts/style_maps.py"
