"""Ports that `init` finds: of constants, flags and fields of settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devenv.init.ports import FoundPort, read_ports
from tests.unit.init.test_init_kinds import made


@pytest.mark.parametrize(
    ("files", "port"),
    [
        ({"a.js": "const PORT = 4100;\napp.listen(PORT)"}, FoundPort(4100)),
        ({"a.ts": 'const port: number = 4101;\nawait app.listen({ port, host: "::" })'}, FoundPort(4101)),
        (
            {
                "a.ts": "import { settings } from './b';\nserve({ fetch: app.fetch, port: settings.port })",
                "b.ts": "export const settings = { port: 4102, db: { port: 5432 } };",
            },
            FoundPort(4102),
        ),
        # Two values: neither is known to be the one.
        ({"a.js": "app.listen(config.port)", "b.js": "x = { port: 4102 }", "c.js": "y = { port: 4103 }"}, None),
        ({"a.js": "// the port 4104\nemitter.listen(callback)"}, None),
        ({"a.go": 'const listenAddr = ":4105"\nsrv := &http.Server{Addr: listenAddr, Handler: r}'}, FoundPort(4105)),
        ({"a.go": 'srv := &http.Server{Addr: "127.0.0.1:4106"}'}, FoundPort(4106)),
        ({"a.go": 'port := 4107\ne.Start(":" + strconv.Itoa(port))'}, FoundPort(4107)),
        (
            {"a.go": 'p := flag.Int("web", 4108, "")\nrouter.Run(fmt.Sprintf(":%d", *p))'},
            FoundPort(4108, flag="-web"),
        ),
        (
            {"a.go": 'flag.StringVar(&cfg.on, "http", ":4109", "")\nhttp.ListenAndServe(cfg.on, r)'},
            FoundPort(4109, flag="-http", address=True),
        ),
        ({"a.go": 'n := flag.Int("workers", 10, "")\nhttp.ListenAndServe(addr, nil)'}, None),
        ({"a.go": 'type C struct {\n\tPort int `env:"PORT" envDefault:"4110"`\n}'}, FoundPort(4110, "PORT")),
        ({"a.go": 'type C struct {\n\tP int `envconfig:"WEB_PORT" default:"4111"`\n}'}, FoundPort(4111, "WEB_PORT")),
    ],
)
def test_the_port_that_a_program_listens_on(files: dict[str, str], port: FoundPort | None) -> None:
    assert read_ports(files).get(next(iter(files))) == port


def test_a_port_in_another_file_is_that_of_the_backend(tmp_path: Path) -> None:
    package = {"scripts": {"start": "node src/main.js"}, "dependencies": {"express": "4"}}
    settings, _ = made(
        tmp_path,
        {
            "db.sql": "CREATE TABLE boats (id int PRIMARY KEY);",
            "package.json": json.dumps(package),
            "src/main.js": "const { PORT } = require('./settings');\nexpress().listen(PORT);\n",
            "src/settings.js": "module.exports = { PORT: 4112 };\n",
        },
    )
    assert settings.backend is not None
    assert settings.backend.port == 4112
