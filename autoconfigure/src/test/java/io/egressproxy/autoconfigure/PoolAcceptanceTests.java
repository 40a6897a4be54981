package io.egressproxy.autoconfigure;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.awaitility.Awaitility.await;

import io.egressproxy.HealthCheck;
import io.egressproxy.ProxyUrl;
import io.egressproxy.netty.NettyHealthChecks;
import io.egressproxy.testkit.Faults;
import io.egressproxy.testkit.FaultyProxy;
import io.egressproxy.testkit.ProxyLab;
import io.egressproxy.testkit.RunningProxy;
import io.egressproxy.testkit.Script;
import io.egressproxy.testkit.TargetServer;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.context.ApplicationContext;
import org.springframework.http.HttpHeaders;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** An application with a pool of real proxies, and nothing in its code about them. */
@ExtendWith(ProxyLab.Extension.class)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Tag("FR-2")
@Tag("FR-3")
@Tag("no-interruption")
class PoolAcceptanceTests {
    private static final Logger log = LoggerFactory.getLogger(PoolAcceptanceTests.class);
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    /** The long form: {@code -Dacceptance.rounds=10}. */
    private static final int ROUNDS = Integer.getInteger("acceptance.rounds", 1);

    private final TargetServer target;
    private final List<RunningProxy> proxies;
    private final ApplicationContextRunner application = new ApplicationContextRunner()
            .withUserConfiguration(SteadyLoad.Clients.class)
            .withPropertyValues("spring.reactor.netty.shutdown-quiet-period=0s")
            .withConfiguration(SpringBoot.autoConfigurations(SpringBoot.REACTIVE_CLIENTS));

    PoolAcceptanceTests(ProxyLab lab) {
        this.target = lab.newTarget();
        this.proxies = lab.poolOfFive();
    }

    @BeforeEach
    void clear() {
        target.clear();
    }

    @AfterAll
    void close() {
        target.close();
    }

    private ApplicationContextRunner withPool(String strategy, Stream<String> urls) {
        List<String> pool = urls.toList();
        ApplicationContextRunner with = application.withPropertyValues("proxy.enabled=true", "proxy.no-proxy=");
        for (String entry : List.of("proxy.default.http", "proxy.default.websocket")) {
            with = with.withPropertyValues(
                    entry + ".strategy=" + strategy,
                    entry + ".attempt-timeout=1s",
                    entry + ".health-check.interval=5s",
                    entry + ".health-check.timeout=1s");
            for (int i = 0; i < pool.size(); i++) {
                with = with.withPropertyValues(entry + ".pool[" + i + "].url=" + pool.get(i));
            }
        }
        return with;
    }

    @Test
    @Timeout(7_200)
    void killedFrozenAndRestartedProxiesLoseNoConnectionThatHadToBeOpened() {
        withPool("round_robin", proxies.stream().map(RunningProxy::url)).run(context -> {
            try (SteadyLoad load = SteadyLoad.start(context, target)) {
                for (int i = 0; i < ROUNDS * proxies.size(); i++) {
                    outage(load, proxies.get(i % proxies.size()), i % 2 == 0);
                }
                await("every WebSocket is open again").atMost(PATIENCE).until(load::allWebSocketsAreOpen);
                log.info("pool of five under load, each proxy killed or frozen {} time(s): {}", ROUNDS, load);
                assertThat(load.notOpened()).isEmpty();
                assertThat(load.lostInFlight())
                        .as("at most what is under way on one proxy, for each outage")
                        .isLessThanOrEqualTo(5L * ROUNDS * proxies.size());
                assertThat(load.failovers())
                        .as("proxies were found dead by connections")
                        .isPositive();
                assertThat(load.webSocketsLost())
                        .as("WebSockets were lost, and so opened again")
                        .isPositive();
            }
        });
        assertThat(target.directConnections()).isEmpty();
    }

    private static void outage(SteadyLoad load, RunningProxy victim, boolean killed) {
        if (killed) {
            victim.stop();
        } else {
            victim.freeze();
        }
        long before = load.connections();
        await("the others go on").atMost(PATIENCE).until(() -> load.connections() > before + 300);
        long beforeReturn = load.connectionsThrough(victim);
        if (killed) {
            victim.start();
        } else {
            victim.thaw();
        }
        await("it is back by itself").atMost(PATIENCE).until(() -> load.connectionsThrough(victim) > beforeReturn + 20);
    }

    @Test
    @Tag("smoke")
    void roundRobinSpreadsConnectionsWithinOnePercent() {
        withPool("round_robin", proxies.stream().map(RunningProxy::url)).run(context -> {
            Map<String, Long> opened = open(context, 2_000, 10);
            assertThat(opened.keySet())
                    .isEqualTo(proxies.stream().map(RunningProxy::egressAddress).collect(Collectors.toSet()));
            assertThat(opened.values()).allSatisfy(count -> assertThat(count).isCloseTo(400L, within(4L)));
        });
    }

    @Test
    void leastConnectionsTakesASlowProxyLessAndConvergesWhenItIsSlowNoMore() {
        Script slow = Script.named("slow")
                .agreeOnSocks5Method()
                .readSocks5Request()
                .pause(Duration.ofMillis(300))
                .write(5, 0, 0, 1, 0, 0, 0, 0, 0, 0)
                .relay();
        try (FaultyProxy proxy = FaultyProxy.with(slow)) {
            Stream<String> pool = Stream.of(
                    proxies.get(0).url(), proxy.url("socks5"), proxies.get(1).url());
            withPool("least_connections", pool).run(context -> {
                long whileSlow = open(context, 600, 12).getOrDefault(target.host(), 0L);
                proxy.behave(Faults.working("socks5"));
                long afterwards = open(context, 600, 12).getOrDefault(target.host(), 0L);
                log.info(
                        "least_connections: of 600 connections one of three proxies took {} while slow, {} afterwards",
                        whileSlow,
                        afterwards);
                assertThat(whileSlow).isBetween(1L, 100L);
                assertThat(afterwards).isBetween(140L, 260L);
            });
        }
    }

    @Test
    void underFullTrafficNoneOfTenThousandChecksOfHealthyProxiesFails() {
        withPool("round_robin", proxies.stream().map(RunningProxy::url)).run(context -> {
            HealthCheck handshake = Objects.requireNonNull(
                    context.getBean(NettyHealthChecks.class).byMethod().get("handshake"));
            List<HealthCheck.Request> requests = proxies.stream()
                    .map(proxy -> new HealthCheck.Request(
                            ProxyUrl.parse(proxy.url()), null, null, "200-299", Duration.ofSeconds(5)))
                    .toList();
            LongAdder answered = new LongAdder();
            LongAdder checked = new LongAdder();
            Disposable traffic = whoami(context, Integer.MAX_VALUE, 100)
                    .doOnNext(peer -> answered.increment())
                    .subscribe();
            List<Throwable> failures = Flux.range(0, 10_000)
                    .flatMap(
                            i -> Mono.defer(() -> handshake.check(requests.get(i % requests.size())))
                                    .timeout(Duration.ofSeconds(5))
                                    .doOnSuccess(done -> checked.increment())
                                    .then(Mono.<Throwable>empty())
                                    .onErrorResume(Mono::just),
                            16)
                    .collectList()
                    .block(PATIENCE);
            long served = answered.sum();
            traffic.dispose();
            log.info("{} checks of healthy proxies under {} requests: failures {}", checked, served, failures);
            assertThat(failures).isEmpty();
            assertThat(checked.sum()).isEqualTo(10_000);
            assertThat(served).as("it was under traffic").isGreaterThan(1_000);
        });
    }

    /** Opens connections, and counts them by the address that the target saw. */
    private Map<String, Long> open(ApplicationContext context, int connections, int atOnce) {
        return Objects.requireNonNull(whoami(context, connections, atOnce)
                .collect(Collectors.groupingBy(Function.identity(), Collectors.counting()))
                .block(PATIENCE));
    }

    private Flux<String> whoami(ApplicationContext context, int connections, int atOnce) {
        WebClient client = context.getBean(WebClient.Builder.class).build();
        return Flux.range(0, connections)
                .flatMap(
                        i -> client.get()
                                .uri(target.url("http", "/whoami"))
                                .header(HttpHeaders.CONNECTION, "close")
                                .retrieve()
                                .bodyToMono(String.class)
                                .map(SteadyLoad::peer),
                        atOnce);
    }
}
