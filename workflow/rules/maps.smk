# maps: the forest applied to every cell of every month. One job a year: starting Python and
# loading the forest costs more than a month of a small study.
for year in sorted({month[:4] for month in MONTHS}):
    MONTHS_OF_YEAR = [month for month in MONTHS if month.startswith(year)]

    rule:
        name:
            f"predict_maps_{year}"
        input:
            forest=rules.train_forest.output.forest,
            rasters=predictor_rasters(MONTHS_OF_YEAR),
            grid=[] if TABLE else rules.define_grid.output.grid,
        output:
            maps=expand("results/maps/monthly/{month}.tif", month=MONTHS_OF_YEAR),
        log:
            f"logs/predict_maps/{year}.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            months=MONTHS_OF_YEAR,
            screen=config["maps"]["screen"] and not TABLE,
            min_lst=config["samples"]["min_lst"],
            max_albedo=config["samples"]["max_albedo"],
            unit=config["unit"],
            note="simulated" if SIMULATED else "",
            lib=lib("_forest", "_raster"),
        script:
            "../scripts/predict_maps.py"
