package io.egressproxy.sample;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.test.context.SpringBootTest.WebEnvironment;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.http.client.reactive.ReactorClientHttpConnector;
import org.springframework.test.context.DynamicPropertyRegistry;
import org.springframework.test.context.DynamicPropertySource;
import org.springframework.test.util.TestSocketUtils;
import org.springframework.test.web.reactive.server.WebTestClient;
import reactor.netty.http.client.HttpClient;

/** The default profile: what the targets see while proxies come and go. */
@SpringBootTest(
        webEnvironment = WebEnvironment.RANDOM_PORT,
        properties = {
            "management.endpoints.web.exposure.include=caches,health",
            "management.endpoint.health.show-details=always"
        })
@ExtendWith(OutputCaptureExtension.class)
@Timeout(120)
class SampleApplicationTests {

    private static final Duration LIMIT = Duration.ofSeconds(30);
    private static final int EXCHANGE_PORT = TestSocketUtils.findAvailableTcpPort();
    private static final int SOCKS5_PORT = TestSocketUtils.findAvailableTcpPort();
    private static final int HTTP_PORT = TestSocketUtils.findAvailableTcpPort();
    private static final int SECOND_SOCKS5_PORT = TestSocketUtils.findAvailableTcpPort();
    private static final int LEASED_SOCKS5_PORT = TestSocketUtils.findAvailableTcpPort();
    private static final int SERVICE_PORT = TestSocketUtils.findAvailableTcpPort();

    private static final String HTTP_LOCAL = "proxy \"http-local\"";
    private static final String SOCKS5_LOCAL = "proxy \"socks5-local\"";
    private static final String SECOND_SOCKS5_LOCAL = "proxy \"socks5-local-2\"";
    private static final String ANY_LOCAL = "proxy \"(socks5-local|http-local|socks5-local-2)\"";
    private static final Set<String> POOL = Set.of(HTTP_LOCAL, SOCKS5_LOCAL, SECOND_SOCKS5_LOCAL);
    private static final String LEASED = "proxy \"socks5-leased\"";
    private static final Set<String> LEASED_OR_POOL = Set.of(LEASED, HTTP_LOCAL, SOCKS5_LOCAL, SECOND_SOCKS5_LOCAL);
    private static final Map<String, Set<String>> EXPECTED = Map.of(
            "binance http",
            Set.of(HTTP_LOCAL),
            "binance websocket",
            Set.of(SOCKS5_LOCAL),
            "coinbase http",
            POOL,
            "coinbase websocket",
            POOL,
            "kraken http",
            LEASED_OR_POOL,
            "kraken websocket",
            LEASED_OR_POOL);

    private WebTestClient app;

    /**
     * With a connection of its own for each request: on one that is kept, Reactor Netty's server may leave a request unread that comes while the
     * last answer, which another thread has written, is being finished (reactor-netty issue 4361, in 1.2.18).
     */
    @Autowired
    void eachRequestOnANewConnection(WebTestClient app) {
        this.app = app.mutate()
                .clientConnector(new ReactorClientHttpConnector(HttpClient.newConnection()))
                .build();
    }

    @DynamicPropertySource
    static void freePorts(DynamicPropertyRegistry registry) {
        registry.add("sample.local-exchange.port", () -> EXCHANGE_PORT);
        registry.add("sample.local-proxies.socks5-port", () -> SOCKS5_PORT);
        registry.add("sample.local-proxies.http-port", () -> HTTP_PORT);
        registry.add("sample.local-proxies.second-socks5-port", () -> SECOND_SOCKS5_PORT);
        registry.add("sample.local-proxies.leased-socks5-port", () -> LEASED_SOCKS5_PORT);
        registry.add("sample.local-proxy-service.port", () -> SERVICE_PORT);
    }

    /** The parts of a feed's JSON that matter here. */
    record Feed(
            String exchange,
            String connectionType,
            @Nullable String price,
            @Nullable String seenFrom,
            long ticks,
            String state,
            @Nullable String lastError) {

        String key() {
            return exchange + " " + connectionType;
        }
    }

    @BeforeEach
    void everythingRuns() {
        command("socks5-local", "start");
        command("http-local", "start");
        command("socks5-local-2", "start");
        command("socks5-leased", "start");
        service("start");
        awaitTicksOfAll();
    }

    @AfterEach
    void neverDirectAndNoPasswordAnywhere(CapturedOutput output) {
        assertThat(output).doesNotContain("via DIRECT").doesNotContain("s3cret");
    }

    private Map<String, Feed> feeds() {
        List<Feed> feeds = app.get()
                .uri("/feeds")
                .exchange()
                .expectStatus()
                .isOk()
                .expectBodyList(Feed.class)
                .returnResult()
                .getResponseBody();
        assertThat(feeds)
                .isNotNull()
                .filteredOn(feed -> feed.seenFrom() != null)
                .allSatisfy(feed -> assertThat(feed.seenFrom())
                        .as("whom the target of %s saw", feed.key())
                        .isIn(EXPECTED.get(feed.key())));
        return feeds.stream().collect(Collectors.toMap(Feed::key, feed -> feed));
    }

    private void command(String proxy, String command) {
        app.post()
                .uri("/local-proxies/{proxy}/{command}", proxy, command)
                .exchange()
                .expectStatus()
                .isOk()
                .expectBody()
                .jsonPath("$.running")
                .isEqualTo(command.equals("start"));
    }

    private void service(String command) {
        app.post()
                .uri("/local-proxy-service/{command}", command)
                .exchange()
                .expectStatus()
                .isOk()
                .expectBody()
                .jsonPath("$.running")
                .isEqualTo(command.equals("start"));
    }

    private void awaitKrakenThrough(String connectionType, Set<String> proxies) {
        await().atMost(LIMIT).untilAsserted(() -> {
            Feed feed = feeds().get("kraken " + connectionType);
            assertThat(feed.state()).isEqualTo("ok");
            assertThat(feed.seenFrom()).isIn(proxies);
        });
    }

    /** Two more ticks of each of these, counted from now: no old news. */
    private void awaitTicks(Set<String> keys) {
        Map<String, Feed> before = feeds();
        await().atMost(LIMIT).untilAsserted(() -> assertThat(feeds().values())
                .filteredOn(feed -> keys.contains(feed.key()))
                .hasSize(keys.size())
                .allSatisfy(feed -> {
                    assertThat(feed.state()).isEqualTo("ok");
                    assertThat(feed.ticks())
                            .isGreaterThan(before.get(feed.key()).ticks() + 1);
                    assertThat(feed.price()).isNotNull();
                    assertThat(feed.seenFrom()).isIn(EXPECTED.get(feed.key()));
                }));
    }

    private void awaitTicksOfAll() {
        awaitTicks(EXPECTED.keySet());
    }

    private void awaitFailure(String key, String proxy) {
        String exchange = key.substring(0, key.indexOf(' '));
        await().atMost(LIMIT).untilAsserted(() -> {
            Feed feed = feeds().get(key);
            assertThat(feed.state()).isEqualTo("failing");
            assertThat(feed.lastError())
                    .contains("exchange '" + exchange + "'")
                    .contains(proxy)
                    .doesNotContain("s3cret")
                    .doesNotContain("feed:");
        });
    }

    @Test
    void everyFeedTicksThroughItsProxyAsTheTargetSawIt(CapturedOutput output) {
        assertThat(feeds()).containsOnlyKeys(EXPECTED.keySet());

        await().atMost(LIMIT).untilAsserted(() -> assertThat(output)
                .containsPattern("binance   http      BTC-USDT \\d+\\.\\d\\d  via " + HTTP_LOCAL)
                .containsPattern("binance   websocket BTC-USDT \\d+\\.\\d\\d  via " + SOCKS5_LOCAL)
                .containsPattern("coinbase  http      BTC-USDT \\d+\\.\\d\\d  via " + ANY_LOCAL)
                .containsPattern("coinbase  websocket BTC-USDT \\d+\\.\\d\\d  via " + ANY_LOCAL));
    }

    @Test
    void withoutTheHttpProxyItsFeedAloneFailsAndHealsWithoutARestart() {
        command("http-local", "stop");

        awaitFailure("binance http", "http://127.0.0.1:" + HTTP_PORT);
        awaitTicks(Set.of("binance websocket", "coinbase http", "coinbase websocket"));
        assertThat(feeds().get("binance http").state()).isEqualTo("failing");

        command("http-local", "start");

        awaitTicksOfAll();
    }

    @Test
    void whenAProxyOfThePoolIsKilledAnotherTakesOverAndTheLogSaysSo(CapturedOutput output) {
        command("socks5-local", "stop");

        awaitFailure("binance websocket", "socks5://***@127.0.0.1:" + SOCKS5_PORT);
        awaitTicks(Set.of("binance http", "coinbase http", "coinbase websocket"));
        assertThat(Set.of(HTTP_LOCAL, SECOND_SOCKS5_LOCAL))
                .contains(feeds().get("coinbase http").seenFrom())
                .contains(feeds().get("coinbase websocket").seenFrom());
        await().atMost(LIMIT).untilAsserted(() -> assertThat(output)
                .containsPattern("pool default/(http|websocket): socks5://\\*\\*\\*@127\\.0\\.0\\.1:" + SOCKS5_PORT
                        + " .*, 2 of 3 proxies usable|; 2 of 3 proxies usable"));

        command("socks5-local", "start");

        awaitTicksOfAll();
        await().atMost(LIMIT)
                .untilAsserted(() -> assertThat(output).containsPattern("pool default/.*again, 3 of 3 proxies usable"));
    }

    @Test
    void withoutAnyProxyEveryFeedFailsNoneGoesDirectAndAllHealWithoutARestart(CapturedOutput output) {
        List<String> proxies = List.of("socks5-local", "http-local", "socks5-local-2");
        proxies.forEach(proxy -> command(proxy, "stop"));

        String masked = "socks5://***@127.0.0.1:" + SOCKS5_PORT;
        awaitFailure("binance http", "http://127.0.0.1:" + HTTP_PORT);
        awaitFailure("binance websocket", masked);
        awaitFailure("coinbase http", " of the pool ");
        awaitFailure("coinbase websocket", " of the pool ");
        await().atMost(LIMIT)
                .untilAsserted(() -> assertThat(output.getOut().lines()).anySatisfy(line -> assertThat(line)
                        .contains("binance   websocket FAILING for ")
                        .contains(masked)));

        proxies.forEach(proxy -> command(proxy, "start"));

        awaitTicksOfAll();
        assertThat(output).containsPattern("coinbase  websocket ok again after \\d+ s, via " + ANY_LOCAL);
    }

    @Test
    void theServicesProxyServesKrakenAndThePoolWhileTheServiceIsAway(CapturedOutput output) {
        awaitKrakenThrough("http", Set.of(LEASED));

        service("stop");

        awaitKrakenThrough("http", POOL);
        await().atMost(LIMIT)
                .untilAsserted(() ->
                        assertThat(output).contains("The proxy service is down").contains("exchange 'kraken' http"));
        awaitTicksOfAll();

        service("start");

        awaitKrakenThrough("http", Set.of(LEASED));
        assertThat(output).contains("The proxy service is back");
        // opened before the outage or after: it holds its proxy for as long as it lives
        awaitTicksOfAll();
    }

    @Test
    void whenTheServicesProxyDiesKrakenGoesOnThroughThePoolAtOnceAndComesBack() {
        awaitKrakenThrough("http", Set.of(LEASED));

        command("socks5-leased", "stop");

        awaitKrakenThrough("http", POOL);
        awaitKrakenThrough("websocket", POOL);

        command("socks5-leased", "start");

        // the service is told for 30 s which proxy has failed
        await().atMost(Duration.ofSeconds(60))
                .untilAsserted(
                        () -> assertThat(feeds().get("kraken http").seenFrom()).isEqualTo(LEASED));
    }

    @Test
    void saysWhatTheServiceWasAskedAndGivesNothingToStrangers() {
        awaitKrakenThrough("http", Set.of(LEASED));
        app.get()
                .uri("/local-proxy-service")
                .exchange()
                .expectStatus()
                .isOk()
                .expectBody()
                .jsonPath("$.url")
                .isEqualTo("http://127.0.0.1:" + SERVICE_PORT)
                .jsonPath("$.running")
                .isEqualTo(true)
                .jsonPath("$.given.leased")
                .value(given -> assertThat((Integer) given).isPositive());
        await().atMost(LIMIT).untilAsserted(() -> app.get()
                .uri("/local-proxy-service")
                .exchange()
                .expectBody()
                .jsonPath("$.reports['leased succeeded']")
                .value(reports -> assertThat((Integer) reports).isPositive()));
        WebTestClient.bindToServer()
                .baseUrl("http://127.0.0.1:" + SERVICE_PORT)
                .build()
                .post()
                .uri("/api/v1/proxy/request")
                .bodyValue(Map.of("exchange_id", "kraken", "connection_type", "http", "client_id", "nobody"))
                .exchange()
                .expectStatus()
                .isUnauthorized();
    }

    @Test
    void theKeptAnswersAreACacheThatActuatorShowsAndClears() {
        awaitKrakenThrough("http", Set.of(LEASED));
        app.get()
                .uri("/actuator/caches")
                .exchange()
                .expectStatus()
                .isOk()
                .expectBody()
                .jsonPath("$.cacheManagers.proxyAnswersCacheManager.caches.proxyAnswers")
                .exists();
        app.delete()
                .uri("/actuator/caches/proxyAnswers")
                .exchange()
                .expectStatus()
                .isNoContent();
        awaitTicksOfAll();
    }

    @Test
    void theHealthShowsTheServiceAndThePools() {
        await().atMost(LIMIT).untilAsserted(() -> app.get()
                .uri("/actuator/health")
                .exchange()
                .expectBody()
                .jsonPath("$.components.proxy.status")
                .isEqualTo("UP")
                .jsonPath("$.components.proxy.details.service.available")
                .isEqualTo(true)
                .jsonPath("$.components.proxy.details.pools['default/http'].proxies")
                .isEqualTo(3));
    }

    @Test
    void listsTheLocalProxiesAndKnowsNoOthers() {
        app.get()
                .uri("/local-proxies")
                .exchange()
                .expectStatus()
                .isOk()
                .expectBody()
                .json(
                        """
                        [{"name": "socks5-local", "url": "socks5://127.0.0.1:%d", "running": true},
                         {"name": "http-local", "url": "http://127.0.0.1:%d", "running": true},
                         {"name": "socks5-local-2", "url": "socks5://127.0.0.1:%d", "running": true},
                         {"name": "socks5-leased", "url": "socks5://127.0.0.1:%d", "running": true}]
                        """
                                .formatted(SOCKS5_PORT, HTTP_PORT, SECOND_SOCKS5_PORT, LEASED_SOCKS5_PORT));
        app.post().uri("/local-proxies/other/stop").exchange().expectStatus().isNotFound();
        app.get()
                .uri("/help")
                .exchange()
                .expectStatus()
                .isOk()
                .expectBody(String.class)
                .value(help ->
                        assertThat(help).contains("/feeds", "/local-proxies/{name}/stop", "/local-proxy-service/stop"));
    }
}
