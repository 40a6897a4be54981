package io.egressproxy.autoconfigure;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.egressproxy.Blame;
import io.egressproxy.ConnectionStage;
import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyDecision.UseProxy;
import io.egressproxy.ProxyEventListener;
import io.egressproxy.ProxyTarget;
import io.egressproxy.service.Answer;
import io.egressproxy.service.ProxyAnswers;
import io.egressproxy.testkit.FaultyProxy;
import io.egressproxy.testkit.ProxyLab;
import io.egressproxy.testkit.RunningProxy;
import io.egressproxy.testkit.TargetServer;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.LongAdder;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.context.ApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.http.HttpHeaders;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.netty.DisposableServer;
import reactor.netty.http.server.HttpServer;
import reactor.netty.http.server.HttpServerRequest;
import reactor.netty.http.server.HttpServerResponse;
import reactor.netty.resources.LoopResources;

/** Feedback about real connections through a real proxy, to a service that counts what it is told. */
@ExtendWith(ProxyLab.Extension.class)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Tag("FR-3")
@Tag("NFR-1")
class FeedbackAcceptanceTests {
    private static final Logger log = LoggerFactory.getLogger(FeedbackAcceptanceTests.class);
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final int CONNECTIONS = Integer.getInteger("feedback.connections", 10_000);
    private static final int FAILS_EACH = 20; // 5 %
    private static final int AT_ONCE = 16;

    private final TargetServer target;
    private final RunningProxy proxy;
    private final Service service = new Service();

    FeedbackAcceptanceTests(ProxyLab lab) {
        this.target = lab.newTarget();
        this.proxy = lab.poolOfFive().get(0);
    }

    @AfterEach
    void reset() {
        service.mode = "in order";
        service.outcomes.reset();
        service.failureDelays.clear();
        target.clear();
    }

    @AfterAll
    void close() {
        service.server.disposeNow();
        service.loops.dispose();
        target.close();
    }

    /** A proxy service that remembers what it has accepted. */
    private final class Service {
        final Map<String, Integer> batches = new ConcurrentHashMap<>();
        final LongAdder outcomes = new LongAdder();
        final LongAdder refused = new LongAdder();
        final Queue<Long> failureDelays = new ConcurrentLinkedQueue<>();
        volatile String mode = "in order";
        private final ObjectMapper json = new ObjectMapper();
        // its own: an application ends the shared ones when it ends
        private final LoopResources loops = LoopResources.create("service", 1, true);
        final DisposableServer server = HttpServer.create()
                .host("127.0.0.1")
                .port(0)
                .runOn(loops)
                .route(routes -> routes.get("/health", (request, response) -> response.send())
                        .post("/api/v1/proxy/request", (request, response) -> response.header(
                                        "Content-Type", "application/json")
                                .sendString(Mono.just(
                                        "{\"proxy_url\": \"%s\", \"ttl_seconds\": 300, \"metadata\": {\"proxy_id\": \"p\"}}"
                                                .formatted(proxy.url()))))
                        .post("/api/v1/proxy/feedback/batch", this::take)
                        .post("/api/v1/proxy/feedback", this::take))
                .bindNow();

        private Mono<Void> take(HttpServerRequest request, HttpServerResponse response) {
            boolean gzip = "gzip".equals(request.requestHeaders().get("Content-Encoding"));
            if (!mode.equals("in order")) {
                refused.increment();
            }
            return request.receive().aggregate().asByteArray().flatMap(bytes -> switch (mode) {
                case "in order" -> {
                    accept(bytes, gzip);
                    yield response.sendString(Mono.just("{}")).then();
                }
                case "hangs" -> Mono.never();
                case "is down" -> Mono.error(new IOException("the connection is closed"));
                default -> response.status(Integer.parseInt(mode)).send();
            });
        }

        private void accept(byte[] bytes, boolean gzip) {
            Instant now = Instant.now();
            JsonNode batch;
            try (InputStream in =
                    gzip ? new GZIPInputStream(new ByteArrayInputStream(bytes)) : new ByteArrayInputStream(bytes)) {
                batch = json.readTree(in);
            } catch (IOException unreadable) {
                throw new UncheckedIOException(unreadable);
            }
            batches.merge(batch.path("batch_id").asText(), 1, Integer::sum);
            batch.path("reports").forEach(report -> {
                if (!report.has("event")) {
                    outcomes.increment();
                    if (!report.path("success").asBoolean()) {
                        failureDelays.add(Duration.between(
                                        Instant.parse(report.path("timestamp").asText()), now)
                                .toMillis());
                    }
                }
            });
        }
    }

    /** What the application itself has seen. */
    static final class Seen implements ProxyEventListener {
        final LongAdder turnedOut = new LongAdder();
        final LongAdder failed = new LongAdder();
        final Map<String, Long> feedback = new ConcurrentHashMap<>();

        @Override
        public void ended(ProxyTarget target, ProxyDecision decision, Outcome outcome, Duration took) {
            if (decision instanceof UseProxy && !(outcome instanceof Outcome.Cancelled)) {
                turnedOut.increment();
                if (outcome instanceof Outcome.Failed) {
                    failed.increment();
                }
            }
        }

        @Override
        public void feedback(String outcome, long count) {
            feedback.merge(outcome, count, Long::sum);
        }

        long dropped() {
            return feedback.entrySet().stream()
                    .filter(entry -> entry.getKey().startsWith("dropped"))
                    .mapToLong(Map.Entry::getValue)
                    .sum();
        }
    }

    @Configuration(proxyBeanMethods = false)
    static class Listening {
        @Bean
        Seen seen() {
            return new Seen();
        }
    }

    private ApplicationContextRunner application(String... properties) {
        return new ApplicationContextRunner()
                .withUserConfiguration(Listening.class)
                .withPropertyValues(
                        "spring.reactor.netty.shutdown-quiet-period=0s",
                        "proxy.enabled=true",
                        "proxy.no-proxy=",
                        "proxy.external-service.enabled=true",
                        "proxy.external-service.fallback-after=5s",
                        "proxy.external-service.endpoints=http://127.0.0.1:" + service.server.port())
                .withPropertyValues(properties)
                .withConfiguration(SpringBoot.autoConfigurations(
                        SpringBoot.and(SpringBoot.REACTIVE_CLIENTS, "ProxyServiceAutoConfiguration")));
    }

    private static Mono<String> connection(WebClient client, String url) {
        return client.get()
                .uri(url)
                .header(HttpHeaders.CONNECTION, "close")
                .retrieve()
                .bodyToMono(String.class);
    }

    @Test
    void everyConnectionIsReportedOnceAndFailuresSoon() {
        application().run(context -> {
            Seen seen = context.getBean(Seen.class);
            WebClient client = context.getBean(WebClient.Builder.class).build();
            String good = target.url("http", "/whoami");
            String bad = "http://127.0.0.1:" + FaultyProxy.closedPort() + "/";
            LongAdder answered = new LongAdder();
            Flux.range(0, CONNECTIONS)
                    .flatMap(
                            i -> connection(client, i % FAILS_EACH == 0 ? bad : good)
                                    .doOnNext(answer -> answered.increment())
                                    .onErrorComplete(),
                            AT_ONCE)
                    .blockLast(Duration.ofMinutes(5));
            assertThat(answered.sum()).isEqualTo(CONNECTIONS - CONNECTIONS / FAILS_EACH);
            await().atMost(PATIENCE).untilAsserted(() -> assertThat(service.outcomes.sum() + seen.dropped())
                    .isEqualTo(seen.turnedOut.sum())
                    .isGreaterThanOrEqualTo(CONNECTIONS));
            assertThat(service.batches.values()).as("how often each batch came").containsOnly(1);
            assertThat(service.failureDelays)
                    .hasSize((int) seen.failed.sum())
                    .hasSizeGreaterThanOrEqualTo(CONNECTIONS / FAILS_EACH);
            log.info(
                    "feedback: {} connections, {} outcomes accepted in {} batches, {} dropped; {} failures, reported after"
                            + " p50 {} ms, p99 {} ms, at most {} ms",
                    seen.turnedOut,
                    service.outcomes,
                    service.batches.size(),
                    seen.dropped(),
                    service.failureDelays.size(),
                    percentile(service.failureDelays, 0.5),
                    percentile(service.failureDelays, 0.99),
                    percentile(service.failureDelays, 1));
            assertThat(seen.dropped()).isZero();
        });
    }

    @Test
    void whatWaitsWhenTheApplicationEndsIsStillSent() {
        long before = service.outcomes.sum();
        application(
                        "proxy.external-service.feedback.flush-interval=1h",
                        "proxy.external-service.feedback.urgent-flush-interval=1h")
                .run(context -> connection(
                                context.getBean(WebClient.Builder.class).build(), target.url("http", "/whoami"))
                        .block(PATIENCE));
        assertThat(service.outcomes.sum()).isEqualTo(before + 1);
    }

    @ParameterizedTest
    @ValueSource(strings = {"hangs", "is down", "500", "404", "400", "413", "415", "401", "429"})
    void troubleWithFeedbackDoesNotReachConnections(String mode) {
        application("proxy.external-service.timeout-seconds=2").run(context -> {
            Seen seen = context.getBean(Seen.class);
            ProxyAnswers answers = Objects.requireNonNull(
                    context.getBean(ProxyDelegation.class).answers());
            ProxyTarget other = ProxyTarget.of(ExchangeId.of("other"), ConnectionType.HTTP);
            Answer answer = Objects.requireNonNull(answers.ask(other).block(PATIENCE));
            Outcome failed = new Outcome.Failed(ConnectionStage.HANDSHAKE, Blame.AMBIGUOUS, "refused CONNECT with 502");
            Outcome succeeded = new Outcome.Succeeded(Duration.ofMillis(1));
            // 10 000 reports a second beside the connections that are measured
            Disposable reports = Flux.interval(Duration.ofMillis(10))
                    .onBackpressureDrop()
                    .subscribe(tick -> {
                        for (int i = 0; i < 100; i++) {
                            answers.connectionTurnedOut(other, answer, i % 10 == 0 ? failed : succeeded);
                        }
                    });
            List<Long> before;
            List<Long> during;
            try {
                measured(context); // warm
                before = measured(context);
                long droppedInOrder = seen.dropped();
                service.refused.reset();
                service.mode = mode;
                await("the trouble is there").atMost(PATIENCE).until(() -> service.refused.sum() > 0);
                during = measured(context);
                await("the queue is full, or emptied").atMost(PATIENCE).until(() -> seen.dropped() > droppedInOrder);
            } finally {
                reports.dispose();
            }
            System.gc();
            long heap = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed() >> 20;
            log.info(
                    "feedback {} at 10 000 reports/s: connections p50 {} us, p99 {} us; in order p50 {} us, p99 {} us;"
                            + " reports {}; heap {} MiB",
                    mode,
                    percentile(during, 0.5),
                    percentile(during, 0.99),
                    percentile(before, 0.5),
                    percentile(before, 0.99),
                    seen.feedback,
                    heap);
            assertThat(seen.failed.sum()).as("connections that failed").isZero();
            assertThat(heap).isLessThan(512);
        });
    }

    /** How long each of 1 500 connections takes to its answer, in microseconds. */
    private List<Long> measured(ApplicationContext context) {
        WebClient client = context.getBean(WebClient.Builder.class).build();
        String url = target.url("http", "/whoami");
        return Objects.requireNonNull(Flux.range(0, 1_500)
                .flatMap(i -> micros(connection(client, url)), 4)
                .collectList()
                .block(PATIENCE));
    }

    private static Mono<Long> micros(Mono<String> connection) {
        return Mono.defer(() -> {
            long start = System.nanoTime();
            return connection.map(done -> (System.nanoTime() - start) / 1_000);
        });
    }

    private static long percentile(Iterable<Long> values, double share) {
        List<Long> all = new ArrayList<>();
        values.forEach(all::add);
        long[] sorted = all.stream().mapToLong(Long::longValue).sorted().toArray();
        assertThat(sorted).isNotEmpty();
        return sorted[(int) Math.min(sorted.length - 1L, (long) Math.floor(sorted.length * share))];
    }
}
