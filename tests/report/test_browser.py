"""The page in a real browser: headless Chromium, driven through its own driver."""

import base64
import csv
import json
import re
import time

import pytest

from report.test_page import TABS, data

pytestmark = pytest.mark.browser
PATIENCE = 20.0  # seconds
TEXT_ON_SCREEN = """(svg) => parseFloat(getComputedStyle(svg.querySelector('text')).fontSize)
    * svg.clientWidth / svg.viewBox.baseVal.width"""


@pytest.fixture
def opened(chromium, report):
    """The page, freshly opened at its ordinary size and colours."""
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    chromium.get("about:blank")
    chromium.get(report.as_uri())
    return chromium


def find(page, selector):
    return page.find_element("css selector", selector)


def run(page, script):
    return page.execute_script(f"return {script}")


def shown(page):
    """The tabs whose panels can be seen."""
    return [tab for tab in TABS if run(page, f"!document.getElementById('{tab}').hidden")]


def requests(page):
    """The addresses of every request since the last look."""
    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [one["request"]["url"] for one in sent if not one["documentURL"].startswith("chrome")]


def press(page, *keys):
    """Press keys where the focus is."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    ActionChains(page).send_keys(*(getattr(Keys, key, key) for key in keys)).perform()


def downloaded(page, button):
    """The file that a button saves."""
    page.execute_script("arguments[0].click()", button)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        files = [file for file in page.downloads.iterdir() if file.suffix in (".csv", ".json") and file.stat().st_size]
        if files:
            text = files[0].read_text()
            files[0].unlink()
            return files[0].name, text
        time.sleep(0.05)
    raise AssertionError("nothing was downloaded")


def test_it_opens_without_an_error_and_asks_for_nothing(opened, report):
    for tab in TABS:
        find(opened, f"#tab-{tab}").click()
    assert set(requests(opened)) <= {"about:blank", report.as_uri(), "data:,"}
    assert [entry for entry in opened.get_log("browser") if entry["level"] != "INFO"] == []


def test_the_answer_is_on_the_first_screen(opened):
    for selector in ("#headline", ".facts table", ".summary-plot .chart"):
        assert 0 < find(opened, selector).rect["y"] < 700
    assert find(opened, "#headline").text.endswith("it generalises worse.")


def test_tabs_by_mouse_keyboard_and_address(opened, report):
    assert shown(opened) == ["path"]
    find(opened, "#tab-spectrum").click()
    assert shown(opened) == ["spectrum"]
    press(opened, "ARROW_RIGHT")
    assert shown(opened) == ["noise"]
    assert run(opened, "document.activeElement.id") == "tab-noise"
    press(opened, "END")
    assert shown(opened) == ["settings"]
    press(opened, "ARROW_RIGHT")
    assert shown(opened) == ["path"]
    press(opened, "ARROW_LEFT", "HOME")
    assert shown(opened) == ["path"]
    assert run(opened, "document.querySelectorAll('[role=tab][aria-selected=true][tabindex=\"0\"]').length") == 1
    opened.get(f"{report.as_uri()}#planes")
    assert shown(opened) == ["planes"]


def test_everything_can_be_reached_by_the_keyboard(opened):
    find(opened, "#tab-planes").click()
    run(opened, "document.activeElement.blur()")
    reached = set()
    for _ in range(60):
        press(opened, "TAB")
        reached.add(run(opened, "document.activeElement.id || document.activeElement.tagName"))
    assert {"theme", "tab-planes", "CANVAS", "BUTTON", "SUMMARY"} <= reached


def pixels(page):
    return run(page, "document.querySelector('canvas').toDataURL()")


def test_the_surface_turns_by_mouse_touch_and_keys(opened):
    from selenium.webdriver.common.action_chains import ActionChains

    find(opened, "#tab-planes").click()
    canvas = find(opened, "canvas")
    seen = [pixels(opened)]
    assert (
        run(opened, "new Set(document.querySelector('canvas').getContext('2d').getImageData(0,0,1120,760).data).size")
        > 20
    )
    ActionChains(opened).move_to_element(canvas).click_and_hold().move_by_offset(70, 20).release().perform()
    seen.append(pixels(opened))
    box = run(opened, "document.querySelector('canvas').getBoundingClientRect()")
    middle = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    for kind, shift in (("touchStart", 0), ("touchMove", -40), ("touchEnd", None)):
        points = [] if shift is None else [{**middle, "x": middle["x"] + shift}]
        opened.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    seen.append(pixels(opened))
    run(opened, "document.querySelector('canvas').focus()")
    press(opened, "ARROW_UP")
    seen.append(pixels(opened))
    assert len(set(seen)) == 4
    press(opened, "HOME")
    assert pixels(opened) == seen[0]
    assert "lowest" in canvas.get_attribute("aria-label")


def test_csv_and_json_hold_the_numbers(opened, report):
    known = data(report.read_text())["path"]
    name, text = downloaded(opened, find(opened, "[data-numbers=path] [data-form=csv]"))
    rows = list(csv.reader(text.splitlines()))
    assert name == "path.csv"
    assert rows[0] == known["columns"]
    assert [[row[0], *map(float, row[1:])] for row in rows[1:]] == known["rows"]
    name, text = downloaded(opened, find(opened, "[data-numbers=path] [data-form=json]"))
    assert [list(record.values()) for record in json.loads(text)] == known["rows"]


def test_every_button_saves_its_numbers(opened, report):
    known = data(report.read_text())
    buttons = opened.find_elements("css selector", ".save[data-numbers] [data-form=json]")
    assert {button.find_element("xpath", "..").get_attribute("data-numbers") for button in buttons} == set(known)
    name, text = downloaded(opened, find(opened, "[data-all] button"))
    assert name == "report.json"
    assert {key: len(rows) for key, rows in json.loads(text).items()} == {k: len(n["rows"]) for k, n in known.items()}


def test_numbers_are_shown_as_a_table_when_asked_for(opened):
    from selenium.webdriver.support.wait import WebDriverWait

    find(opened, "#path details.numbers summary").click()
    table = WebDriverWait(opened, PATIENCE).until(lambda page: find(page, "#path details.numbers table"))
    assert len(table.find_elements("css selector", "tbody tr")) == 16
    assert table.find_element("css selector", "thead").text.startswith("trial alpha train_loss")


def colours(page):
    """Contrast with the ground, of text and of lines, by style variable."""
    script = """
      const channel = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
      const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
      const probe = document.body.appendChild(document.createElement('i'));
      const of = (name) => { probe.style.color = `var(${name})`;
        return light(getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3).map(Number)); };
      const ground = of('--ground');
      const names = ['--ink', '--quiet', '--accent', '--c0', '--c1', '--c2', '--c3', '--c4', '--c5'];
      const contrast = (l) => (Math.max(l, ground) + 0.05) / (Math.min(l, ground) + 0.05);
      return Object.fromEntries(names.map((name) => [name, contrast(of(name))]));
    """
    return page.execute_script(script)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_follow_the_system_and_can_be_read(opened, scheme):
    feature = {"name": "prefers-color-scheme", "value": scheme}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    ground = run(opened, "getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 24, 27)"}[scheme]
    found = colours(opened)
    assert min(found[name] for name in ("--ink", "--quiet", "--accent")) >= 4.5
    assert min(found.values()) >= 3


def test_the_reader_may_choose_the_other_colours(opened):
    opened.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "light"}]}
    )
    find(opened, "#theme").click()
    assert run(opened, "getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 27)"
    assert find(opened, "#theme").text == "Light"


def test_it_fits_on_a_phone(opened):
    phone = {"width": 375, "height": 700, "deviceScaleFactor": 2, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    for tab in TABS:
        find(opened, f"#tab-{tab}").click()
        assert run(opened, "document.documentElement.scrollWidth") == 375
        sizes = run(opened, f"[...document.querySelectorAll('#{tab} .chart')].map({TEXT_ON_SCREEN})")
        assert min(sizes, default=11) >= 9.5


def test_all_tabs_are_on_paper(opened):
    find(opened, "#tab-settings").click()
    printed = base64.b64decode(opened.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) > 3
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    heights = {tab: run(opened, f"document.getElementById('{tab}').offsetHeight") for tab in TABS}
    assert min(heights.values()) > 100
    assert not find(opened, "#tabs").is_displayed()


def test_without_scripts_everything_is_shown(opened, report):
    opened.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        opened.get(report.as_uri())
        assert all(find(opened, f"#{tab} h2").is_displayed() for tab in TABS)
        assert not find(opened, ".save").is_displayed()
    finally:
        opened.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
