package io.egressproxy.sample;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.springframework.boot.json.JsonParserFactory;
import org.springframework.test.util.TestSocketUtils;

/** The other profiles, each as a process: whether an application stays alive cannot be seen from inside a test. */
@Timeout(180)
class ProfileTests {

    private static final Duration LIMIT = Duration.ofSeconds(60);

    private final int exchangePort = TestSocketUtils.findAvailableTcpPort();
    private final int socks5Port = TestSocketUtils.findAvailableTcpPort();
    private final int httpPort = TestSocketUtils.findAvailableTcpPort();
    private final int secondSocks5Port = TestSocketUtils.findAvailableTcpPort();
    private final int leasedSocks5Port = TestSocketUtils.findAvailableTcpPort();
    private final int servicePort = TestSocketUtils.findAvailableTcpPort();

    @TempDir
    private Path directory;

    private SampleProcess worker(String... more) throws IOException {
        List<String> arguments = new ArrayList<>(List.of(
                "--spring.profiles.active=worker",
                "--sample.local-exchange.port=" + exchangePort,
                "--sample.local-proxies.socks5-port=" + socks5Port,
                "--sample.local-proxies.second-socks5-port=" + secondSocks5Port,
                "--sample.local-proxies.leased-socks5-port=" + leasedSocks5Port,
                "--sample.local-proxy-service.port=" + servicePort,
                "--sample.local-proxies.http-port=" + httpPort));
        arguments.addAll(List.of(more));
        return new SampleProcess(directory, arguments.toArray(String[]::new));
    }

    private static void awaitTicks(SampleProcess process, String exchange) {
        await().atMost(LIMIT)
                .failFast("the sample has ended", () -> !process.isAlive())
                .untilAsserted(() -> assertThat(process.output())
                        .containsPattern(exchange + " +http +BTC-USDT \\S+  via proxy \"http-local\"")
                        .containsPattern(exchange + " +websocket +BTC-USDT \\S+  via proxy \"socks5-local\""));
    }

    @Test
    void workerReadsTheFeedsWithoutAWebServerAndStaysAlive() throws IOException {
        try (SampleProcess worker = worker()) {
            awaitTicks(worker, "binance");

            assertThat(worker.output())
                    .containsPattern(
                            "coinbase +http +BTC-USDT \\S+  via proxy \"(socks5-local|http-local|socks5-local-2)\"")
                    .doesNotContain("Netty started on port")
                    .doesNotContain("via DIRECT")
                    .doesNotContain("s3cret");
        }
    }

    /** Where each of Spring Boot's formats puts the fields of a line. */
    @ParameterizedTest
    @CsvSource({"ecs, @timestamp, message", "logstash, @timestamp, message", "gelf, timestamp, short_message"})
    void structuredLogsHaveTheFieldsOfADecision(String format, String time, String message) throws IOException {
        try (SampleProcess worker = worker(
                "--logging.structured.format.console=" + format,
                "--logging.level.io.egressproxy=DEBUG",
                "--logging.level.io.egressproxy.audit=DEBUG")) {
            await().atMost(LIMIT).untilAsserted(() -> {
                List<Map<String, Object>> lines = worker.lines().stream()
                        .filter(line -> line.startsWith("{"))
                        .map(line -> JsonParserFactory.getJsonParser().parseMap(line))
                        .map(ProfileTests::flat)
                        .toList();
                assertThat(lines).anySatisfy(line -> assertThat(line)
                        .containsKeys(time)
                        .containsEntry(field(format, "exchange"), "kraken")
                        .containsEntry(field(format, "connection.type"), "http")
                        .containsEntry(field(format, "source"), "service")
                        .containsKey(field(format, "correlation.id"))
                        .hasEntrySatisfying(field(format, "proxy"), proxy -> assertThat(String.valueOf(proxy))
                                .startsWith("socks5://***@127.0.0.1:"))
                        .hasEntrySatisfying(message, text -> assertThat(String.valueOf(text))
                                .contains("exchange 'kraken' http to api.kraken.test")));
                assertThat(lines).as("the audit trail").anySatisfy(line -> assertThat(line)
                        .containsEntry(field(format, "outcome"), "success")
                        .containsKey(field(format, "correlation.id"))
                        .containsKey(field(format, "ttl.seconds")));
            });
            assertThat(worker.output()).doesNotContain("s3cret");
        }
    }

    private static String field(String format, String name) {
        return format.equals("gelf") ? "_" + name : name;
    }

    /** Some formats nest names with dots. */
    private static Map<String, Object> flat(Map<String, Object> line) {
        Map<String, Object> flat = new LinkedHashMap<>();
        line.forEach((name, value) -> {
            if (value instanceof Map<?, ?> nested) {
                flat(nested.entrySet().stream()
                                .collect(
                                        Collectors.toMap(entry -> String.valueOf(entry.getKey()), Map.Entry::getValue)))
                        .forEach((below, each) -> flat.put(name + "." + below, each));
            } else {
                flat.put(name, value);
            }
        });
        return flat;
    }

    @Test
    void ownReadsProxiesAndTargetsFromTheUsersFile() throws IOException {
        // The proxies and the exchange of another process are as foreign to this one as any.
        Path home = Files.createDirectory(directory.resolve("home"));
        Files.writeString(
                home.resolve("application.yml"),
                """
                proxy:
                  enabled: true
                  exchanges:
                    mine:
                      hosts: ["*.coinbase.test"]
                      require-proxy: true
                      http: { url: "http://127.0.0.1:%2$d" }
                      websocket: { url: "socks5://feed:s3cret%%40sample@127.0.0.1:%3$d" }
                sample:
                  feeds:
                    - name: mine
                      rest-url: http://api.coinbase.test:%1$d/ticker?symbol=BTC-USDT
                      websocket-url: ws://stream.coinbase.test:%1$d/ws
                      websocket-subscribe: hello
                """
                        .formatted(exchangePort, httpPort, socks5Port));
        try (SampleProcess worker = worker();
                SampleProcess own = new SampleProcess(home, "--spring.profiles.active=own,worker")) {
            awaitTicks(own, "mine");

            assertThat(own.output())
                    .doesNotContain("binance")
                    .doesNotContain("Local proxy") // nor the local proxy service
                    .doesNotContain("Local exchange")
                    .doesNotContain("Netty started on port")
                    .doesNotContain("s3cret");
            assertThat(worker.isAlive()).isTrue();
        }
    }

    @Test
    void theTemplateStartsAsItStands() throws IOException {
        String template = Path.of("config-example", "application.yml").toUri().toString();
        try (SampleProcess own = new SampleProcess(
                directory,
                "--spring.profiles.active=own,worker",
                "--spring.config.additional-location=" + template,
                // Its proxies are in a domain that does not exist, so nothing leaves this machine but name look-ups.
                "--FEED_PROXY_PASSWORD=c4nary")) {
            await().atMost(LIMIT)
                    .failFast("the sample has ended", () -> !own.isAlive())
                    .untilAsserted(() -> assertThat(own.output())
                            .contains("Started SampleApplication")
                            .containsPattern("binance +http +FAILING: .*http\\.proxy\\.example:3128")
                            .containsPattern(
                                    "coinbase +websocket +FAILING: .*socks5://\\*\\*\\*@socks\\.proxy\\.example:1080"));

            assertThat(own.output()).doesNotContain("c4nary");
        }
    }

    @Test
    void ownWithoutFeedsSaysWhereToLook() throws IOException {
        try (SampleProcess own = new SampleProcess(directory, "--spring.profiles.active=own,worker")) {
            await().atMost(LIMIT).until(() -> !own.isAlive());

            assertThat(own.exitCode()).isNotZero();
            assertThat(own.output()).contains("sample.feeds").contains("config-example/application.yml");
        }
    }
}
