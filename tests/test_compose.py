"""The compose files against the command lines that they call, and against themselves."""

import asyncio
import base64
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from adapters.registry import PARTNERS as ADAPTERS
from gateway.settings import from_environment
from gateway.storage.base import roles
from mock_partners.registry import PARTNERS, port_of

ROOT = Path(__file__).parent.parent
FILES = ("docker-compose.yml", "docker-compose.ha.yml")
COMPOSE: dict[str, dict[str, Any]] = {name: yaml.safe_load((ROOT / name).read_text()) for name in FILES}
SCRIPTS = {"gateway": ("gateway.cli", "app"), "mock_partners": ("mock_partners.cli", "main")}
Services = dict[str, dict[str, Any]]


@pytest.fixture(params=FILES)
def compose(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each file."""
    return COMPOSE[request.param]


@pytest.fixture
def services(compose: dict[str, Any]) -> Services:
    """Its services, by name."""
    found: Services = compose["services"]
    return found


def _ours(services: Services) -> list[str]:
    return sorted(name for name, service in services.items() if "build" in service)


def _nodes(services: Services) -> list[dict[str, Any]]:
    """Those that serve the API."""
    return [service for name, service in services.items() if re.fullmatch(r"gateway(-\d)?", name)]


def test_every_command_and_option_exists(services: Services) -> None:
    for name in _ours(services):
        python, dash_m, script, subcommand, *arguments = services[name]["command"]
        assert (python, dash_m) == ("python", "-m")
        module, name_of_app = SCRIPTS[script]
        command: Any = typer.main.get_command(getattr(importlib.import_module(module), name_of_app))
        known = {option for parameter in command.get_command(None, subcommand).params for option in parameter.opts}
        assert set(arguments[::2]) <= known, name  # all of them are pairs of an option and its value


def test_every_partner_is_reached_at_its_mock(services: Services) -> None:
    """One partner more: its address for the gateway, its port to this machine, its port in the mocks' health check."""
    mocks = services["mocks"]
    base = int(mocks["command"][mocks["command"].index("--port-base") + 1])
    environment = _nodes(services)[0]["environment"]
    told = {name: value for name, value in environment.items() if name.endswith("_BASE_URL")}
    assert told == {f"{name.upper()}_BASE_URL": f"http://mocks:{port_of(name, base)}" for name in PARTNERS}
    last = base + len(PARTNERS)
    assert mocks["ports"] == [f"127.0.0.1:{base + 1}-{last}:{base + 1}-{last}"]
    asked = {int(port) for port in re.findall(rf"\b{base // 100}[0-9]{{2}}\b", mocks["healthcheck"]["test"][-1])}
    assert asked == {port_of(name, base) for name in PARTNERS}


def test_every_dependency_is_a_service_that_can_meet_its_condition(services: Services) -> None:
    for name, service in services.items():
        for other, needed in service.get("depends_on", {}).items():
            if needed["condition"] == "service_healthy":
                assert "healthcheck" in services[other], (name, other)
            else:
                assert needed["condition"] == "service_completed_successfully", (name, other)
                assert services[other]["restart"] == "no", (name, other)


@pytest.mark.parametrize("proxy", ["http_proxy", "ALL_PROXY"])
async def test_health_is_asked_of_the_container_itself(services: Services, proxy: str) -> None:
    """Docker hands its own proxy to whatever it runs; and PostgreSQL's image has a server without a port at first, for
    as long as it makes the database.
    """

    async def fine(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n")
        writer.close()

    checks = [service["healthcheck"]["test"] for service in services.values() if "healthcheck" in service]
    assert all("--host" in check for check in checks if check[1] == "pg_isready")
    server = await asyncio.start_server(fine, "127.0.0.1", 0)
    async with server:
        here = str(server.sockets[0].getsockname()[1])
        for script in {check[3] for check in checks if check[1] == "python"}:
            command = re.sub(r"\b(8000|91\d\d)\b", here, script)
            environment = {proxy: "http://127.0.0.1:1"}
            child = await asyncio.create_subprocess_exec(sys.executable, "-c", command, env=environment)
            assert await child.wait() == 0, script


def test_what_runs_may_do_no_more_than_it_needs(services: Services) -> None:
    for name, service in services.items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("privileged") is None and service.get("network_mode") is None, name
    for name in _ours(services):
        assert (services[name]["read_only"], services[name]["cap_drop"]) == (True, ["ALL"]), name
        assert "/tmp" in [*services[name].get("tmpfs", ()), *services[name].get("volumes", ())], f"{name}: uploads wait"
    for stage in _stages().values():
        assert any(re.match("USER (?!root)", line) for line in stage)


def _stages() -> dict[str, list[str]]:
    """The steps of each image that something runs of."""
    text = (ROOT / "Dockerfile").read_text()
    stages = {
        found[1]: found[2].splitlines() for found in re.finditer(r"^FROM .* AS (\w+)\n((?:(?!FROM).*\n)*)", text, re.M)
    }
    return {
        name: stages[name]
        for name in {
            service["build"]["target"]
            for compose in COMPOSE.values()
            for service in compose["services"].values()
            if "build" in service
        }
    }


def test_no_mock_is_in_the_image_of_the_gateway_and_nothing_of_the_gateway_in_theirs(services: Services) -> None:
    copied = {name: {line.split()[1] for line in lines if line.startswith("COPY")} for name, lines in _stages().items()}
    assert copied == {"gateway": {"contracts", "adapters", "gateway"}, "mocks": {"mock_partners"}}
    for name in _ours(services):
        assert services[name]["build"]["target"] == ("mocks" if name == "mocks" else "gateway"), name
    installed = [line for line in _lines("Dockerfile") if "pip install" in line]
    assert all("--require-hashes" in line for line in installed), (
        "building a package fetches what builds it, by no hash"
    )


def test_each_process_signs_in_under_a_role_of_its_own_and_the_cache_asks_for_a_password(
    compose: dict[str, Any], services: Services
) -> None:
    urls = {name: service["environment"]["DATABASE_URL"] for name, service in services.items() if "env_file" in service}
    users = {name: re.match(r"postgresql://(\w+):\$\{(\w+):", url) for name, url in urls.items()}
    expected = {
        "migrate": ("gateway", "POSTGRES_PASSWORD"),
        "gateway": (roles.SERVE, "ROLES_PASSWORD"),
        "worker": (roles.WORKER, "ROLES_PASSWORD"),
    }
    assert {name: found and found.groups() for name, found in users.items()} == {
        name: expected[name.partition("-")[0]] for name in urls
    }
    for name in urls:
        assert services[name]["environment"]["POSTGRES_PASSWORD"] == "", f"{name} has the owner's password"
        assert re.match(r"redis://:\$\{VALKEY_PASSWORD:", services[name]["environment"]["REDIS_URL"])
    made = re.findall(
        r"^CREATE ROLE (\w+) LOGIN PASSWORD '\$\{ROLES_PASSWORD:", compose["configs"]["roles"]["content"], re.M
    )
    assert sorted(set(made) - {"gateway_standby"}) == sorted(roles.ROLES)
    assert compose["configs"]["valkey"]["content"].startswith("requirepass ${VALKEY_PASSWORD:?")
    assert not any("requirepass" in word for word in services["valkey"]["command"]), "everybody reads a command line"


@pytest.mark.parametrize("file", FILES)
def test_no_secret_is_written_down_and_every_variable_is_explained(file: str) -> None:
    text, services = (ROOT / file).read_text(), COMPOSE[file]["services"]
    example = dict(re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", text)) <= example.keys()
    assert {name for name in example if re.search("PASSWORD|KEY|SECRET", name) and example[name]} == set()
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            assert not value or "${" in value or not re.search("PASSWORD|KEY|SECRET", name), name


def test_what_the_example_says_makes_settings_the_gateway_starts_with(services: Services) -> None:
    """Its values, and what its one command appends; the rest compose sets itself."""
    example = (ROOT / ".env.example").read_text()
    command = next(line.removeprefix("#   ") for line in example.splitlines() if "mock-partners credentials" in line)
    assert command.endswith(" >> .env")
    command = command.removesuffix(" >> .env").replace("mock-partners", f"{sys.executable} -m mock_partners")
    appended = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    lines = [line.partition("=")[::2] for text in (example, appended.stdout) for line in text.splitlines()]
    given = {name: value for name, value in lines if re.fullmatch("[A-Z_]+", name)}
    assert (ROOT / given["WORLD_FILE"]).is_file()
    assert not any("$" in value or " #" in value for value in given.values()), "compose would read more into it"
    environment = {
        name: re.sub(r"\$\{\w+:\?[^}]*\}", "secret", value)
        for name, value in _nodes(services)[0]["environment"].items()
    }
    given |= environment | {"GATEWAY_MASTER_KEY": base64.b64encode(bytes(32)).decode()}
    settings = from_environment(given, {slug: partner.manifest for slug, partner in ADAPTERS.items()})
    assert "\n" in settings.partners["bni"]["private_key_pem"].reveal()


def test_ports_are_open_to_this_machine_alone(services: Services) -> None:
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service.get("ports", []))


def _pinned(name: str) -> dict[str, set[str]]:
    """What a list pins, and the hashes of the files that may be installed for it."""
    entries = re.split(r"\n(?=[^ ])", (ROOT / name).read_text().strip())
    return {entry.split(" ")[0]: set(re.findall(r"--hash=sha256:([0-9a-f]{64})", entry)) for entry in entries}


def test_nothing_is_installed_whose_hash_is_not_known_and_the_image_holds_what_was_tested() -> None:
    tested, image = _pinned("requirements.lock"), _pinned("image.lock")
    for pins in (tested, image):
        assert all("==" in pin and hashes for pin, hashes in pins.items())
    assert image.items() <= tested.items()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {re.split(r"[\[><=,]", one)[0] for one in project["project"]["dependencies"]}
    assert wanted <= {re.split(r"[\[=]", pin)[0] for pin in image}
    assert not {"pytest", "mypy", "ruff", "playwright"} & {pin.partition("==")[0] for pin in image}
    installs = [line for name in ("Dockerfile", ".ci/bootstrap") for line in _lines(name) if ".lock" in line]
    assert sum("install" in line for line in installs) == 3
    assert all("--require-hashes" in line for line in installs if "install" in line)


def _lines(name: str) -> list[str]:
    """Commands; what is said about them is none."""
    return [line for line in (ROOT / name).read_text().splitlines() if "echo" not in line and not line.startswith("#")]


NAMED = re.compile(r"[a-z/]+:[0-9][\w.-]*(@sha256:[0-9a-f]{64})?")
"""By version, and by digest where somebody has pinned them to what was tested."""
IMAGES = {
    service["image"]
    for compose in COMPOSE.values()
    for service in compose["services"].values()
    if "build" not in service
}


def test_what_is_fetched_is_named_by_version_and_nothing_is_run_from_elsewhere() -> None:
    """What linters of images and pipelines ask for, as far as it fits here."""
    image = (ROOT / "Dockerfile").read_text()
    steps = re.findall(r"^([A-Z]+) (.*)$", image.replace("\\\n", " "), re.MULTILINE)
    assert {step for step, _ in steps} <= {"FROM", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "CMD"}, (
        "no ADD, ENV, ARG"
    )
    own = {what.partition(" AS ")[2] for step, what in steps if step == "FROM"}
    fetched = IMAGES | {what.partition(" AS ")[0] for step, what in steps if step == "FROM"} - own
    assert [name for name in fetched if not NAMED.fullmatch(name)] == []
    by_digest = {name for name in fetched if "@" in name}
    assert by_digest in (set(), fetched), "one image is by digest and others are not: pin all (docs/production.md)"
    runs = " ".join(what for step, what in steps if step == "RUN")
    assert "--require-hashes" in runs and not re.search(r"curl|wget|sudo|chmod 777|apt-get|\| *sh", runs)
    assert steps[-1][0] == "CMD" and steps[-1][1].startswith("["), "a process of its own, which hears SIGTERM"
    for script in sorted((ROOT / ".ci").iterdir()):
        text = script.read_text()
        assert re.match(r"#!/(usr/bin/env ba|bin/)sh\n", text), script.name
        hands_on = script.name == "suite"  # the status of what it runs
        assert hands_on or re.search(r"^set -eu", text, re.MULTILINE), script.name
        assert not re.search(r"\b(curl|wget|eval)\b|\| *(ba)?sh\b", text), f"{script.name} runs what it fetches"
    assert not (ROOT / ".github").exists(), "pipelines of a host have rules of their own: look at them by its linter"


def test_nothing_is_reached_from_beyond_this_machine_but_by_a_proxy(services: Services) -> None:
    for name, service in services.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        mounts = [str(mount) for mount in service.get("volumes", ())]
        assert not any("docker.sock" in mount or mount.startswith("/:") for mount in mounts), name
        assert not {"privileged", "cap_add", "pid", "ipc", "devices"} & service.keys(), name
