"""The container's configuration works as it is, and with what it has switched off; what it names is in the image."""

import re
from pathlib import Path

from gateway.config import load

ROOT = Path(__file__).resolve().parents[3]
ENVIRON = {"SWITCHGEAR_KEY": "a-long-secret"}
VOLUME = "/var/lib/switchgear"


def loaded(tmp_path, text):
    (tmp_path / "switchgear.yaml").write_text(text)
    return load(tmp_path / "switchgear.yaml", ENVIRON)


def test_the_containers_first_start_asks_for_a_key_and_keeps_nothing(tmp_path):
    settings = loaded(tmp_path, (ROOT / "deploy" / "switchgear.yaml").read_text())

    assert settings.server.host == "0.0.0.0"
    assert [key.reveal() for key in settings.server.keys] == ["a-long-secret"]
    assert (settings.database, settings.policies) == (None, None)


def test_what_the_containers_configuration_keeps_is_kept_in_its_volume(tmp_path):
    text = re.sub(r"^#(?! \S|$)", "", (ROOT / "deploy" / "switchgear.yaml").read_text(), flags=re.MULTILINE)
    settings = loaded(tmp_path, text)
    image = (ROOT / "Dockerfile").read_text()

    written = [settings.database.path, settings.access.bootstrap_key_file, settings.ledger.spool, settings.audit.queue]
    assert {str(Path(path).parent) for path in written} == {VOLUME}
    assert f"\nVOLUME {VOLUME}\n" in image
    assert image.index(f"--mode=0700 {VOLUME}") < image.index("VOLUME")
    assert f"\nCOPY policies /etc/switchgear/{settings.policies.folder}\n" in image


def test_all_that_the_image_copies_goes_to_the_builder():
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    sent = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), flags=re.MULTILINE))

    assert {source for line in copied for source in line.split()} == sent
