package io.egressproxy.sample.page;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.egressproxy.sample.SamplePorts;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.openqa.selenium.Keys;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.test.context.SpringBootTest.WebEnvironment;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.test.context.DynamicPropertyRegistry;
import org.springframework.test.context.DynamicPropertySource;
import org.springframework.web.reactive.function.client.WebClient;

/** The page in a real browser, and what people do with it. */
@SpringBootTest(webEnvironment = WebEnvironment.RANDOM_PORT)
@Timeout(180)
class PageTests {

    /** Within which the page shows what a click has done. */
    private static final Duration AT_ONCE = Duration.ofSeconds(1);

    @LocalServerPort
    private int port;

    private Browser browser;

    @DynamicPropertySource
    static void freePorts(DynamicPropertyRegistry registry) {
        SamplePorts.register(registry);
    }

    @BeforeEach
    void open() {
        if (Browser.programs().isEmpty() && System.getenv("CI") == null) {
            Assumptions.abort("There is no chromium or chromedriver: apt-get install chromium chromium-driver");
        }
        WebClient app = WebClient.create("http://127.0.0.1:" + port);
        Stream.concat(
                        Stream.of("socks5-local", "http-local", "socks5-local-2", "socks5-leased")
                                .map(proxy -> "/local-proxies/" + proxy + "/start"),
                        Stream.of("/local-proxy-service/start"))
                .forEach(path ->
                        app.post().uri(path).retrieve().toBodilessEntity().block(Duration.ofSeconds(10)));
        browser = Browser.open("http://127.0.0.1:" + port + "/", false);
        browser.awaitText("#summary", "All 6 feeds tick, each through a proxy.");
    }

    @AfterEach
    void nothingWentWrongInTheBrowser() {
        if (browser == null) {
            return;
        }
        try {
            assertThat(browser.complaints()).isEmpty();
            assertThat(browser.driver().getPageSource()).doesNotContain("s3cret");
        } finally {
            browser.close();
        }
    }

    private void click(String label) {
        browser.find("button[aria-label='%s']", label).click();
    }

    @Test
    void aProxyIsKilledAnotherTakesOverAndItComesBack() throws IOException {
        browser.screenshot("1-all-is-well");

        click("socks5-local: Killed");

        browser.awaitText("#proxy-socks5-local td:nth-child(3)", "stopped", AT_ONCE);
        browser.awaitText("#feed-binance-websocket", ".*failing.*Nothing was sent to the target.*");
        browser.awaitText("#summary", "Waiting for a proxy: binance websocket. Nothing connects directly.");
        browser.awaitText("#feed-coinbase-websocket", ".*ok.*via proxy \"(http-local|socks5-local-2)\".*");
        browser.awaitText("#pool-default-http", ".*socks5-local (down|ejected).*");
        browser.awaitText("#last", ".*binance websocket.*");
        browser.screenshot("2-killed");
        browser.screenshotOfAll("2-killed-whole-page");
        browser.size(1280, 800, false);

        click("Why does coinbase http take this proxy?");
        browser.awaitText("#why", ".*coinbase http.*A connection opened now goes .*because:.*the pool gives.*");
        assertThat(browser.text("#why-steps"))
                .contains(
                        "coinbase is configured", "its host is not on no-proxy", "socks5-local down", "the pool gives");
        browser.screenshot("3-why");
        browser.find("#why button").click();

        click("socks5-local: Running");

        browser.awaitText("#proxy-socks5-local td:nth-child(3)", "running", AT_ONCE);
        browser.awaitText("#summary", "All 6 feeds tick, each through a proxy.");
        browser.awaitText("#pool-default-http", ".*socks5-local up.*");
        browser.awaitText("#usable-text", ".*default/http 3.*");
    }

    @Test
    void theServiceIsStoppedTheOthersTakeOverAndItIsAskedAgain() throws IOException {
        browser.awaitText("#feed-kraken-http", ".*via proxy \"socks5-leased\".*");

        click("proxy service: Stopped");

        await().atMost(AT_ONCE).until(() -> "true"
                .equals(browser.find("[aria-label='proxy service: Stopped']").getDomAttribute("aria-pressed")));
        browser.awaitText("#service", ".*asked\\s+no.*");
        browser.awaitText("#feed-kraken-http", ".*ok.*via proxy \"(socks5-local|http-local|socks5-local-2)\".*");
        browser.awaitText("#last", ".*kraken http service down via .*");
        browser.awaitText("#fallbacks-text", "In all: .*service down \\d+.*");
        browser.screenshotOfAll("4-service-stopped-whole-page");
        browser.size(1280, 800, false);
        assertThat(browser.text("#summary")).isEqualTo("All 6 feeds tick, each through a proxy.");

        click("proxy service: Running");

        browser.awaitText("#service", ".*asked\\s+yes.*");
        browser.awaitText("#feed-kraken-http", ".*via proxy \"socks5-leased\".*");
        browser.awaitText("#feedback-text", "In all: .*accepted \\d+.*");
    }

    @Test
    void aServiceThatHangsAndAProxyThatFreezesAreNoOutageEither() throws IOException {
        click("proxy service: Hanging");
        browser.awaitText("#service", ".*asked\\s+no.*");
        browser.awaitText("#feed-kraken-http", ".*ok.*via proxy \"(socks5-local|http-local|socks5-local-2)\".*");
        click("proxy service: Running");
        browser.awaitText("#service", ".*asked\\s+yes.*");

        click("socks5-local-2: Frozen");
        browser.awaitText("#proxy-socks5-local-2 td:nth-child(3)", "frozen", AT_ONCE);
        browser.awaitText("#pool-default-http", ".*socks5-local-2 (down|ejected|spare).*");
        browser.awaitText("#summary", "All 6 feeds tick, each through a proxy.");
        browser.screenshotOfAll("5-frozen-whole-page");
        browser.size(1280, 800, false);
        click("socks5-local-2: Running");
        browser.awaitText("#pool-default-http", ".*socks5-local-2 up.*");
    }

    @Test
    void theSettingsAreReloaded() {
        assertThat(browser.text("#configuration")).isEqualTo("as at the start");
        browser.find("#reload").click();
        browser.awaitText("#configuration", "applied at .*", AT_ONCE.multipliedBy(3));
    }

    @ParameterizedTest
    @CsvSource({"1280, 800, false, false", "1280, 800, false, true", "390, 844, true, false", "390, 844, true, true"})
    void isClearOnAScreenAndOnAPhoneInLightAndDark(int width, int height, boolean phone, boolean dark)
            throws IOException {
        browser.size(width, height, phone);
        browser.driver()
                .executeCdpCommand(
                        "Emulation.setEmulatedMedia",
                        Map.of(
                                "features",
                                List.of(Map.of("name", "prefers-color-scheme", "value", dark ? "dark" : "light"))));
        await().atMost(AT_ONCE).until(() -> (dark ? "dark" : "light")
                .equals(browser.find("html").getDomAttribute("data-theme")));
        browser.screenshot("6-%dx%d-%s".formatted(width, height, dark ? "dark" : "light"));
        assertThat(browser.driver()
                        .executeScript(
                                "return document.documentElement.scrollWidth > document.documentElement.clientWidth"))
                .as("scrolls sideways")
                .isEqualTo(false);
        assertThat(browser.driver().executeScript(CONTRAST))
                .as("text that is hard to read")
                .isEqualTo(List.of());
        if (phone) {
            assertThat(browser.driver().executeScript(SMALL_TARGETS))
                    .as("too small for a finger")
                    .isEqualTo(List.of());
        }
        browser.screenshotOfAll("6-%dx%d-%s-whole-page".formatted(width, height, dark ? "dark" : "light"));
    }

    @Test
    void everythingCanBeDoneWithTheKeyboardAndIsNamedForScreenReaders() {
        assertThat(browser.driver().executeScript(UNNAMED))
                .as("controls without a name")
                .isEqualTo(List.of());
        assertThat(browser.driver().executeScript("return document.documentElement.lang"))
                .isEqualTo("en");
        assertThat(browser.find("#summary").getDomAttribute("aria-live")).isEqualTo("polite");

        Set<Object> reached = new java.util.LinkedHashSet<>();
        for (int i = 0; i < 60; i++) {
            browser.driver().switchTo().activeElement().sendKeys(Keys.TAB);
            reached.add(browser.driver()
                    .executeScript(
                            "const e = document.activeElement; return e.getAttribute('aria-label') ?? e.textContent"));
        }
        assertThat(reached)
                .contains(
                        "Why does kraken websocket take this proxy?",
                        "http-local: Frozen",
                        "proxy service: Hanging",
                        "Reload the settings");

        browser.find("[aria-label='http-local: Killed']").sendKeys(Keys.ENTER);
        browser.awaitText("#proxy-http-local td:nth-child(3)", "stopped", AT_ONCE);
        assertThat(browser.driver().switchTo().activeElement().getDomAttribute("aria-label"))
                .as("the focus stays where it was")
                .isEqualTo("http-local: Killed");
        browser.find("[aria-label='http-local: Running']").sendKeys(Keys.SPACE);
        browser.awaitText("#summary", "All 6 feeds tick, each through a proxy.");

        browser.find("[aria-label='Why does binance http take this proxy?']").sendKeys(Keys.ENTER);
        browser.awaitText(
                "#why", ".*binance http.*A connection opened now goes via http-local.*because:.*its settings say.*");
        browser.driver().switchTo().activeElement().sendKeys(Keys.ESCAPE);
        await().atMost(AT_ONCE).until(() -> !browser.find("#why").isDisplayed());
        assertThat(browser.driver().switchTo().activeElement().getDomAttribute("aria-label"))
                .isEqualTo("Why does binance http take this proxy?");
    }

    @Test
    void theLastEventIsNotAnOldOne() {
        String before = browser.text("#decisions-text");
        await().atMost(30, TimeUnit.SECONDS)
                .until(() -> !browser.text("#decisions-text").equals(before));
        assertThat(browser.text("#link")).isEqualTo("live");
    }

    /** As when its process hangs, or its machine has gone. */
    @Test
    void withoutAnApplicationNothingIsSaidToBeWell() {
        browser.driver().executeCdpCommand("Network.enable", Map.of());
        browser.driver()
                .executeCdpCommand(
                        "Network.emulateNetworkConditions",
                        Map.of("offline", true, "latency", 0, "downloadThroughput", -1, "uploadThroughput", -1));
        browser.driver().executeScript("events.close()");
        browser.awaitText("#summary", "The application does not answer\\. What stands here was so at .*");
        browser.awaitText("#link", "not connected");
        click("http-local: Killed");
        browser.awaitText("#failed", "That did not work: the application does not answer\\.");
        browser.complaints(); // it complains about the network, and is right
    }

    private static final String UNNAMED =
            """
            return [...document.querySelectorAll('button, a, canvas, [role=region], [role=group]')]
              .filter(e => !(e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.textContent.trim()))
              .map(e => e.outerHTML)""";

    private static final String SMALL_TARGETS =
            """
            return [...document.querySelectorAll('button')].filter(e => e.offsetParent && e.getBoundingClientRect().height < 40)
              .map(e => e.outerHTML)""";

    /** By the formula of WCAG 2, which wants 4.5 for text of this size. */
    private static final String CONTRAST =
            """
            const rgb = colour => colour.match(/[\\d.]+/g).map(Number);
            const light = colour => { const [r, g, b] = rgb(colour).map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
              return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
            const behind = e => { for (; e; e = e.parentElement) { const back = getComputedStyle(e).backgroundColor;
              if ((rgb(back)[3] ?? 1) > 0) return back; } return 'rgb(255, 255, 255)'; };
            return [...document.querySelectorAll('body *')]
              .filter(e => e.offsetParent && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()))
              .map(e => { const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
                return [e.textContent.trim(), (a + 0.05) / (b + 0.05)]; })
              .filter(([, contrast]) => contrast < 4.5).map(([text, contrast]) => text + ' ' + contrast.toFixed(1))""";
}
