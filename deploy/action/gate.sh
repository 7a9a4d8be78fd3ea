#!/usr/bin/env bash
# Ends as longsum did, and says in one line why. Takes EXIT_CODE.
set -euo pipefail
case $EXIT_CODE in
  0) exit 0 ;;
  1) why='some documents could not be summarized' ;;
  2) why='wrong use: see the log of the step before' ;;
  3) why='a gate was not met: see the summary of this job' ;;
  75) why='try again: memory, disk or network' ;;
  *) why="longsum ended with $EXIT_CODE" ;;
esac
echo "::error title=longsum::$why"
exit "$EXIT_CODE"
