from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.0")

if not Path(str(workflow.current_basedir), "workflow").is_dir():
    raise WorkflowError(
        f"{workflow.current_basedir}: expected this workflow in a folder, found an address. Its "
        "scripts share modules, which Snakemake does not fetch: clone the repository and name the "
        "clone's Snakefile."
    )


report: "workflow/report/workflow.rst"


configfile: workflow.source_path("config/config.yaml")


include: "workflow/rules/common.smk"
include: "workflow/rules/sources.smk"
include: "workflow/rules/raw.smk"
include: "workflow/rules/interim.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/model.smk"
include: "workflow/rules/maps.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        targets(),
