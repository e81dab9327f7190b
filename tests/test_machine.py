"""Processor time of this process and of the others."""

import subprocess
import sys
import time

import pytest

from sharpmin.machine import Usage, Watch, others_in_words

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/stat")
SPIN = "import time; t = time.process_time()\nwhile time.process_time() - t < 0.4: pass"


def spin():
    began = time.process_time()
    while time.process_time() - began < 0.4:
        pass


def test_own_work_is_own():
    watch = Watch()
    spin()
    subprocess.check_call([sys.executable, "-c", SPIN])
    usage = watch.usage()
    assert usage.own * usage.seconds > 0.79


def test_a_strangers_work_is_not():
    """A child counts as own once it has been waited for: so it is looked at while it works."""
    stranger = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    watch = Watch()
    try:
        while (usage := watch.usage()).others * usage.seconds < 0.2 and usage.seconds < 20:
            time.sleep(0.05)
    finally:
        stranger.kill()
        stranger.wait()
    assert usage.others * usage.seconds >= 0.2
    assert usage.own * usage.seconds < 0.2


def test_words_only_where_it_matters():
    assert others_in_words(Usage(1.0, 1.0, None), processors=2) == ""
    assert "1.5 of 2" in others_in_words(Usage(1.0, 0.5, 1.5), processors=2)
