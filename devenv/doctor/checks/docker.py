"""Docker: can it be used, and are the containers as they should be? On another engine: do both engines run?"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from devenv.core.model import Failure, Fix, Outcome
from devenv.doctor.checks.check import Check, failed, passed, unneeded, unverified
from devenv.doctor.context import DoctorFacts

if TYPE_CHECKING:
    from devenv.engines.docker.inspect import View

MB: Final = 1024 * 1024
# Below the first nothing works any more; below the second a restore or an image may not fit.
NO_ROOM, LITTLE_ROOM = 50 * MB, 1024 * MB
LOOPBACK: Final = ("127.0.0.1", "::1")
NO_CONTAINERS: Final = "no container of the project is running"
AGAIN: Final = Fix("recreate the containers; the data stays", "devenv down && devenv up")


def on_docker(judge: Callable[[View], Outcome]) -> Callable[[DoctorFacts], Outcome]:
    """A check that has a meaning only where the project is on Docker."""

    def run(facts: DoctorFacts) -> Outcome:
        view = facts.context.look_at_docker()
        if view is None or view.engine != "docker":
            return unneeded("checked on engine `docker` only")
        return judge(view)

    return run


def trouble(failure: Failure) -> Outcome:
    """A failure as what a check saw."""
    evidence = ": ".join(filter(None, (failure.what, failure.detail)))
    fix = Fix(failure.hint, failure.hint.partition("  (")[0]) if failure.hint else None
    return failed(evidence, cause=failure.cause, fix=fix)


def judge_engine(view: View) -> Outcome:
    """Docker's engine answers. Pure."""
    return trouble(view.unusable) if view.unusable else passed(f"version {view.version}")


def judge_compose(view: View) -> Outcome:
    """There is a Compose that is new enough. Pure."""
    if view.compose is None:
        return trouble(view.no_compose) if view.no_compose else unverified("Docker Compose was not looked for")
    return passed(f"{view.compose.version}, {view.compose.program}")


def judge_images(view: View) -> Outcome:
    """The images are here, or can be fetched. Pure."""
    lost = [each for each in view.missing if each.why]
    if lost:
        return failed(
            (f"{each.image} is not on this machine and cannot be fetched: {each.why}" for each in lost),
            cause="no such image, no network, or a registry that requires a login",
            fix=Fix("fetch it, or name another image in devenv.toml", f"docker pull {lost[0].image}"),
            subjects=(each.image for each in lost),
        )
    if view.missing:
        return passed(f"{', '.join(each.image for each in view.missing)} will be fetched by `devenv up`")
    return passed(", ".join(view.images)) if view.images else unneeded("the project's compose file names the images")


def judge_room(view: View) -> Outcome:
    """There is room where Docker keeps its data. Pure."""
    if view.free is None:
        return unneeded(f"your user cannot see how much space is free in {view.folder}")
    if view.free < LITTLE_ROOM:
        return failed(
            f"{view.free // MB} MB are free in {view.folder}",
            cause="this folder holds the images, stopped containers and volumes of all projects",
            fix=Fix("see what takes the space, and remove what is unused", "docker system df"),
            status="fail" if view.free < NO_ROOM else "warn",
        )
    return passed(f"{view.free // MB} MB are free in {view.folder}")


def judge_ports(view: View) -> Outcome:
    """Containers publish on loopback only. Pure."""
    open_ = [
        (container, address, port)
        for container in view.containers
        for places in container.ports.values()
        for address, port in places
        if address not in LOOPBACK
    ]
    if open_:
        return failed(
            (f"{container.name} is published on {address}:{port}" for container, address, port in open_),
            cause="`ports` in the compose file names no address, so Docker listens on all; it bypasses most firewalls",
            fix=Fix('write "127.0.0.1:PORT:PORT" in the compose file, then devenv down && devenv up'),
            subjects=(container.name for container, _, _ in open_),
        )
    if not view.containers:
        return unneeded(NO_CONTAINERS)
    return passed(", ".join(f"{each.service} {places(each.ports)}" for each in view.containers))


def places(ports: object) -> str:
    """The addresses of a container's ports."""
    found = [place for each in dict(ports).values() for place in each]  # type: ignore[call-overload]
    return " ".join(f"{address}:{port}" for address, port in found)


def judge_health(view: View) -> Outcome:
    """Every container has a health check. Pure."""
    without = [container for container in view.containers if container.health is None and container.state == "running"]
    ill = [container for container in view.containers if container.health == "unhealthy"]
    if ill:
        return failed(
            (f"{container.name} is unhealthy" for container in ill),
            cause="its health check fails",
            fix=Fix("read its log", f"devenv logs {ill[0].service}"),
            subjects=(container.name for container in ill),
        )
    if without:
        return failed(
            (f"{container.name} has no health check" for container in without),
            cause="`docker compose up --wait` and dependent services then continue before it responds",
            fix=Fix("add `healthcheck` to the compose file"),
            subjects=(container.name for container in without),
            status="warn",
        )
    seen = [container.service for container in view.containers if container.state == "running"]
    return passed(", ".join(seen)) if seen else unneeded(NO_CONTAINERS)


def judge_volumes(view: View) -> Outcome:
    """DynamoDB Local can write its volume. Pure."""
    for volume in view.volumes:
        wrong = volume.owner is not None and volume.user not in (None, 0, volume.owner)
        if wrong or (volume.complaint and volume.owner is None):
            evidence = f"volume {volume.name} belongs to user {volume.owner}, and the container runs as {volume.user}"
            return failed(
                evidence if wrong else f"{volume.name}: {volume.complaint}",
                cause="a new volume belongs to root, and the image's user may not write to it",
                fix=Fix("give the volume to that user", volume.repair) if volume.repair else AGAIN,
                subjects=(volume.name,),
            )
    if not view.volumes:
        return unneeded("no container of DynamoDB Local with a volume is running")
    unknown = [volume.name for volume in view.volumes if volume.owner is None or volume.user is None]
    if unknown:
        return unneeded(f"your user cannot see who owns {', '.join(unknown)}; the log has no complaint")
    return passed(", ".join(volume.name for volume in view.volumes))


def run_one_engine(facts: DoctorFacts) -> Outcome:
    """Services of this project run on one engine only."""
    view = facts.context.look_at_docker()
    if view is None:
        return unneeded("the project has used only one engine")
    if not view.elsewhere and view.unasked:
        return unneeded(f"Docker could not be searched for containers of the project: {view.unasked}")
    if not view.elsewhere:
        return passed(f"engine {view.engine}")
    return failed(
        map(str, view.elsewhere),
        cause=f"the project is on engine `{view.engine}`; each engine has its own data, so programs may see either",
        fix=Fix("stop those of the other engine", f"devenv down --engine {view.elsewhere[0].engine}"),
        status="warn",
    )


CHECKS = (
    Check(
        code="DOC001",
        name="docker-engine",
        group="docker",
        title="Docker's engine can be used",
        run=on_docker(judge_engine),
        explain="""\
This check distinguishes four causes: Docker is not installed; its engine is not running; your user cannot open
its socket; the current context (or DOCKER_HOST) names an engine on another machine, which devenv refuses.

Fix: see the hint. Without Docker: devenv up --engine embedded.""",
    ),
    Check(
        code="DOC002",
        name="docker-compose",
        group="docker",
        title="Docker Compose is installed and recent enough",
        run=on_docker(judge_compose),
        needs=("DOC001",),
        explain="""\
devenv uses the first of these that it finds: the plugin of `docker compose` (yours, the system's), docker-compose
beside devenv (from the extra `docker`), docker-compose on PATH. The old version 1.x, written in Python, cannot read
the compose file.

Fix: add the extra `docker` (devenv-stores[docker]) to devenv's environment.""",
    ),
    Check(
        code="DOC003",
        name="docker-images",
        group="docker",
        title="the stores' images are on this machine, or can be fetched",
        run=on_docker(judge_images),
        needs=("DOC001",),
        explain="""\
The settings [postgres] image and [dynamodb] image name the images. For a missing one, Docker's engine asks its
registry.

Fix: docker pull IMAGE, or name another one.""",
    ),
    Check(
        code="DOC004",
        name="docker-room",
        group="docker",
        title="Docker has enough disk space",
        run=on_docker(judge_room),
        needs=("DOC001",),
        explain="""\
A store that cannot write stops responding, or exits. Docker's folder also holds the images and volumes of other
projects.

Fix: docker system df shows what uses the space. `docker system prune` removes what is unused (not volumes).""",
    ),
    Check(
        code="DOC005",
        name="docker-ports",
        group="docker",
        title="containers are published on loopback only",
        run=on_docker(judge_ports),
        needs=("DOC001",),
        explain="""\
`ports: ["8000:8000"]` publishes on every interface, and Docker's rules bypass most firewalls. DynamoDB Local
has no authentication.

Fix: "127.0.0.1:8000:8000" in the compose file ([docker] file).""",
    ),
    Check(
        code="DOC006",
        name="docker-health",
        group="docker",
        title="containers have a health check that succeeds",
        run=on_docker(judge_health),
        needs=("DOC001",),
        explain="""\
devenv sends its own requests to the stores. Other users of the compose file rely on the health check: `docker
compose` when you run it, and services that depend on the stores. The health check should send a real request: an
open port proves nothing.

Fix: `healthcheck` in the compose file; devenv's own compose/compose.yaml shows two.""",
    ),
    Check(
        code="DOC007",
        name="docker-volumes",
        group="docker",
        title="DynamoDB Local can write its volume",
        run=on_docker(judge_volumes),
        needs=("DOC001",),
        explain="""\
The image runs as a user of its own, and a new volume belongs to root: "unable to open database file", and requests
hang. devenv's compose file gives the volume to that user before the container starts.

Fix: devenv down && devenv up; with your own compose file: run the command that is shown, or add a container that
runs chown first.""",
    ),
    Check(
        code="DOC008",
        name="one-engine",
        group="docker",
        title="the project runs on one engine only",
        run=run_one_engine,
        explain="""\
Each engine has its own data. If the stores run on two engines, one program may write to one and another read from
the other.

Fix: devenv down --engine NAME.""",
    ),
)
