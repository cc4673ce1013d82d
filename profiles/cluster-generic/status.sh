#!/bin/sh
# Say of a Slurm job what Snakemake asks: success, running or failed. The id comes as an argument.
state=$(scontrol --oneliner show job "$1" 2>/dev/null | sed -n 's/.*JobState=\([A-Z_]*\).*/\1/p')
case "$state" in
COMPLETED) echo success ;;
PENDING | RUNNING | CONFIGURING | COMPLETING | SUSPENDED | REQUEUED | RESIZING) echo running ;;
"")
    # Forgotten by the controller or the controller is away: ask the accounting, else wait.
    state=$(sacct -n -X -j "$1" -o State 2>/dev/null | awk '{print $1; exit}')
    case "$state" in
    COMPLETED) echo success ;;
    "" | PENDING | RUNNING) echo running ;;
    *) echo failed ;;
    esac ;;
*) echo failed ;;
esac
