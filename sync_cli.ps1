# The cloudsync command in the containers of docker-compose.yml, from the host: .\sync_cli.ps1 status
if (-not (Get-Command docker -ErrorAction SilentlyContinue)) {
    [Console]::Error.WriteLine("sync_cli.ps1: docker is not installed, or not on the PATH.")
    exit 127
}
docker compose version *> $null
if ($LASTEXITCODE -ne 0) {
    [Console]::Error.WriteLine("sync_cli.ps1: this docker has no 'compose': install Docker Compose 2.")
    exit 127
}
# Without a terminal (a scheduled task, a pipe), compose must not ask for one.
$terminal = @()
if ([Console]::IsInputRedirected -or [Console]::IsOutputRedirected) { $terminal = @("-T") }
Push-Location $PSScriptRoot
try {
    if (docker compose ps --quiet --status running code 2> $null) {
        docker compose exec @terminal code cloudsync @args
    } else {
        docker compose run --rm --no-deps @terminal code cloudsync @args
    }
    $code = $LASTEXITCODE
} finally {
    Pop-Location
}
exit $code
