package io.egressproxy.sample.page;

import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.openqa.selenium.By;
import org.openqa.selenium.OutputType;
import org.openqa.selenium.StaleElementReferenceException;
import org.openqa.selenium.WebElement;
import org.openqa.selenium.chrome.ChromeDriver;
import org.openqa.selenium.chrome.ChromeDriverService;
import org.openqa.selenium.chrome.ChromeOptions;
import org.openqa.selenium.logging.LogEntry;
import org.openqa.selenium.logging.LogType;
import org.openqa.selenium.logging.LoggingPreferences;

/** Debian's Chromium without a window. */
final class Browser implements AutoCloseable {

    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final Path SCREENSHOTS = Path.of("target", "screenshots");

    private final ChromeDriver driver;

    private Browser(ChromeDriver driver) {
        this.driver = driver;
    }

    /** The programs, if they are here: the browser and what drives it. */
    static Optional<List<Path>> programs() {
        Optional<Path> chromium = find("chromium");
        Optional<Path> driver = find("chromedriver");
        return chromium.flatMap(browser -> driver.map(drives -> List.of(browser, drives)));
    }

    private static Optional<Path> find(String program) {
        return Stream.of(System.getenv("PATH").split(":"))
                .map(directory -> Path.of(directory, program))
                .filter(Files::isExecutable)
                .findFirst();
    }

    static Browser open(String url, boolean dark) {
        List<Path> programs = programs().orElseThrow();
        LoggingPreferences logs = new LoggingPreferences();
        logs.enable(LogType.BROWSER, java.util.logging.Level.ALL);
        ChromeOptions options = new ChromeOptions();
        options.setBinary(programs.get(0).toFile());
        options.addArguments("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu");
        options.setCapability(ChromeOptions.LOGGING_PREFS, logs);
        ChromeDriver driver = new ChromeDriver(
                new ChromeDriverService.Builder()
                        .usingDriverExecutable(programs.get(1).toFile())
                        .usingAnyFreePort()
                        .build(),
                options);
        Browser browser = new Browser(driver);
        driver.executeCdpCommand(
                "Emulation.setEmulatedMedia",
                Map.of("features", List.of(Map.of("name", "prefers-color-scheme", "value", dark ? "dark" : "light"))));
        browser.size(1280, 800, false);
        driver.get(url);
        return browser;
    }

    void size(int width, int height, boolean phone) {
        driver.executeCdpCommand(
                "Emulation.setDeviceMetricsOverride",
                Map.of("width", width, "height", height, "deviceScaleFactor", phone ? 2 : 1, "mobile", phone));
    }

    ChromeDriver driver() {
        return driver;
    }

    WebElement find(String css, Object... arguments) {
        return driver.findElement(By.cssSelector(css.formatted(arguments)));
    }

    /** What is written there now. */
    String text(String css) {
        try {
            return driver.findElements(By.cssSelector(css)).stream()
                    .findFirst()
                    .map(WebElement::getText)
                    .orElse("");
        } catch (StaleElementReferenceException replaced) {
            return "";
        }
    }

    void awaitText(String css, String pattern) {
        awaitText(css, pattern, PATIENCE);
    }

    void awaitText(String css, String pattern, Duration limit) {
        await("'" + pattern + "' at " + css)
                .atMost(limit)
                .pollInterval(Duration.ofMillis(50))
                .until(() -> text(css), text -> text.matches("(?s)" + pattern));
    }

    /** For people to look at, afterwards. */
    void screenshot(String name) throws IOException {
        Files.createDirectories(SCREENSHOTS);
        Files.write(SCREENSHOTS.resolve(name + ".png"), driver.getScreenshotAs(OutputType.BYTES));
    }

    /** The whole page, also what is below the edge of the window. */
    void screenshotOfAll(String name) throws IOException {
        Number height = (Number) driver.executeScript("return document.documentElement.scrollHeight");
        Number width = (Number) driver.executeScript("return document.documentElement.clientWidth");
        size(width.intValue(), height.intValue(), false);
        screenshot(name);
    }

    /** What the browser complains about. */
    List<String> complaints() {
        return driver.manage().logs().get(LogType.BROWSER).getAll().stream()
                .map(LogEntry::toString)
                .toList();
    }

    @Override
    public void close() {
        driver.quit();
    }
}
