//! Arguments, output, errors and exit codes of the git-deploy commands.
