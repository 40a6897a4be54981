package io.egressproxy.service;

import static com.github.tomakehurst.wiremock.client.WireMock.aResponse;
import static com.github.tomakehurst.wiremock.client.WireMock.equalToJson;
import static com.github.tomakehurst.wiremock.client.WireMock.get;
import static com.github.tomakehurst.wiremock.client.WireMock.getRequestedFor;
import static com.github.tomakehurst.wiremock.client.WireMock.matching;
import static com.github.tomakehurst.wiremock.client.WireMock.matchingJsonPath;
import static com.github.tomakehurst.wiremock.client.WireMock.post;
import static com.github.tomakehurst.wiremock.client.WireMock.postRequestedFor;
import static com.github.tomakehurst.wiremock.client.WireMock.urlEqualTo;
import static com.github.tomakehurst.wiremock.core.WireMockConfiguration.options;
import static io.egressproxy.service.ServiceLab.PATIENCE;
import static io.egressproxy.service.ServiceLab.REQUEST;
import static io.egressproxy.service.ServiceLab.answer;
import static io.egressproxy.service.ServiceLab.json;
import static io.egressproxy.service.ServiceLab.proxy;
import static io.egressproxy.service.ServiceLab.requests;
import static io.egressproxy.service.ServiceLab.target;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.github.tomakehurst.wiremock.WireMockServer;
import com.github.tomakehurst.wiremock.client.ResponseDefinitionBuilder;
import com.github.tomakehurst.wiremock.http.Fault;
import com.github.tomakehurst.wiremock.stubbing.Scenario;
import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.ProxyEventListener;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import io.egressproxy.service.ProxyServiceException.Reason;
import io.egressproxy.settings.ExternalServiceSettings.AuthCredentials;
import io.egressproxy.settings.ProxySettings;
import io.github.resilience4j.circuitbreaker.CircuitBreaker;
import io.github.resilience4j.circuitbreaker.CircuitBreakerConfig;
import io.micrometer.observation.ObservationRegistry;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.netty.http.HttpResources;

/** What is asked, when, and what becomes of the answers; the service is WireMock, over real connections. */
@Tag("FR-2")
@Tag("TR-1")
@ExtendWith(OutputCaptureExtension.class)
class ProxyAnswersTests {
    private static final ProxyTarget BINANCE = target("binance");

    private @Nullable ServiceLab lab;

    private ServiceLab lab(int endpoints) {
        ServiceLab created = new ServiceLab(endpoints);
        lab = created;
        return created;
    }

    @AfterEach
    void close() {
        if (lab != null) {
            lab.close();
        }
    }

    private static Answer ask(ServiceDelegation delegation, ProxyTarget target) {
        return Objects.requireNonNull(delegation.answers().ask(target).block(PATIENCE));
    }

    private static ProxyServiceException failure(ServiceDelegation delegation) {
        return delegation
                .answers()
                .ask(BINANCE)
                .<ProxyServiceException>handle((answer, sink) -> sink.error(new AssertionError("answered " + answer)))
                .onErrorResume(ProxyServiceException.class, Mono::just)
                .blockOptional(PATIENCE)
                .orElseThrow();
    }

    @Test
    void theRequestIsTheOneOfTheSpecification() {
        ServiceLab service = lab(1);
        service.answer(proxy("socks5://user:C4NARY@10.1.2.3:1080"));
        ServiceDelegation delegation = service.delegation(
                "proxy.exchanges.binance.region=us-east-1",
                "proxy.exchanges.binance.metadata.feed_types[0]=trades",
                "proxy.exchanges.binance.metadata.feed_types[1]=book");
        Answer answer = ask(delegation, BINANCE);
        assertThat(answer.proxy()).isEqualTo(ProxyUrl.parse("socks5://user:C4NARY@10.1.2.3:1080"));
        assertThat(answer.proxyId()).isEqualTo("id-10-1-2-3-1080");
        assertThat(answer).asString().doesNotContain("C4NARY");
        service.endpoint()
                .verify(
                        postRequestedFor(urlEqualTo(REQUEST))
                                .withHeader("Authorization", matching("Bearer token-1-C4NARY"))
                                .withHeader("X-Correlation-ID", matching("[0-9a-f-]{36}"))
                                .withHeader("Content-Type", matching("application/json.*"))
                                .withRequestBody(
                                        equalToJson(
                                                """
                                        {"exchange_id": "binance", "connection_type": "http", "region": "us-east-1",
                                         "client_id": "tests", "metadata": {"feed_types": ["trades", "book"]}}
                                        """)));
    }

    @Test
    void anApiKeyGoesIntoItsOwnHeader() {
        ServiceLab service = lab(1);
        service.answer(proxy("http://10.1.2.3:8080"));
        ask(service.delegation("proxy.external-service.auth-method=api_key"), BINANCE);
        service.endpoint()
                .verify(postRequestedFor(urlEqualTo(REQUEST))
                        .withHeader("X-API-Key", matching("key-1-C4NARY"))
                        .withoutHeader("Authorization"));
    }

    @Test
    void aCachedAnswerCostsNoCallUntilItHasExpired() {
        ServiceLab service = lab(1);
        service.answer(
                json(
                        "{\"proxy_url\": \"http://10.1.2.3:1\", \"ttl_seconds\": 1, \"fallback_policy\": \"embedded_fallback\"}"));
        ServiceDelegation delegation = service.delegation(
                "proxy.external-service.min-ttl-seconds=0", "proxy.external-service.cache.refresh-ahead=false");
        assertThat(delegation.answers().cached(BINANCE)).isNull();
        Answer first = ask(delegation, BINANCE);
        assertThat(delegation.answers().cached(BINANCE)).isSameAs(first);
        assertThat(service.requestsInAll()).isEqualTo(1);
        await().atMost(PATIENCE).until(() -> delegation.answers().cached(BINANCE) == null);
        assertThat(ask(delegation, BINANCE)).isNotSameAs(first);
    }

    @Test
    void anAnswerInUseIsRenewedBeforeItExpires() {
        ServiceLab service = lab(1);
        service.answer(
                json(
                        "{\"proxy_url\": \"http://10.1.2.3:1\", \"ttl_seconds\": 3, \"fallback_policy\": \"embedded_fallback\"}"));
        ServiceDelegation delegation = service.delegation("proxy.external-service.min-ttl-seconds=0");
        Answer first = ask(delegation, BINANCE);
        await().atMost(PATIENCE).pollInterval(Duration.ofMillis(20)).until(() -> {
            Answer cached = delegation.answers().cached(BINANCE);
            assertThat(cached).as("there is one all the time").isNotNull();
            return cached != first;
        });
    }

    @Test
    void aThousandColdCallersOfOneKeyMakeOneCall() {
        ServiceLab service = lab(1);
        service.answer(proxy("http://10.1.2.3:8080").withFixedDelay(100));
        ServiceDelegation delegation = service.delegation("proxy.external-service.fallback-after=5s");
        Set<Answer> answers = Objects.requireNonNull(Flux.range(0, 1_000)
                .flatMap(i -> delegation.answers().ask(BINANCE).subscribeOn(Schedulers.parallel()), 1_000)
                .collect(java.util.stream.Collectors.toSet())
                .block(PATIENCE));
        assertThat(answers).hasSize(1);
        assertThat(service.requestsInAll()).isEqualTo(1);
    }

    @Test
    void exchangesTypesAndRegionsAreAskedForApart() {
        ServiceLab service = lab(1);
        service.answer(proxy("http://10.1.2.3:8080"));
        ServiceDelegation delegation = service.delegation();
        ask(delegation, BINANCE);
        ask(delegation, target("kraken"));
        ask(delegation, ProxyTarget.of(ExchangeId.of("binance"), io.egressproxy.ConnectionType.WEBSOCKET));
        assertThat(service.requestsInAll()).isEqualTo(3);
    }

    @Test
    void anAnswerWithoutTimeToLiveIsForOneConnection() {
        ServiceLab service = lab(1);
        service.answer(
                json(
                        "{\"proxy_url\": \"http://10.1.2.3:1\", \"ttl_seconds\": 0, \"fallback_policy\": \"embedded_fallback\"}"));
        ServiceDelegation delegation = service.delegation("proxy.external-service.min-ttl-seconds=0");
        Flux.range(0, 5).flatMap(i -> delegation.answers().ask(BINANCE), 5).blockLast(PATIENCE);
        assertThat(delegation.answers().cached(BINANCE)).isNull();
        assertThat(service.requestsInAll()).isEqualTo(5);
    }

    @ParameterizedTest
    @CsvSource({"60, true", "59, false", "0, false", "-1, false"})
    void aShorterTimeToLiveThanTheContractHasIsAnInvalidAnswer(long seconds, boolean valid) {
        ServiceLab service = lab(1);
        service.answer(json("{\"proxy_url\": \"http://10.1.2.3:1\", \"ttl_seconds\": " + seconds
                + ", \"fallback_policy\": \"embedded_fallback\"}"));
        ServiceDelegation delegation = service.delegation();
        if (valid) {
            assertThat(ask(delegation, BINANCE).ttlNanos())
                    .isEqualTo(Duration.ofSeconds(seconds).toNanos());
        } else {
            assertThat(failure(delegation).reason()).isEqualTo(Reason.INVALID_ANSWER);
        }
    }

    @Test
    void missingFieldsHaveTheirDefaultsUnknownOnesAreIgnoredAndALongTimeToLiveIsAnHour() {
        ServiceLab service = lab(1);
        service.answer(json("{\"proxy_url\": \"http://10.1.2.3:1\", \"something\": {\"new\": [1]}}"));
        Answer answer = ask(service.delegation(), BINANCE);
        assertThat(answer.ttlNanos()).isEqualTo(Duration.ofSeconds(300).toNanos());
        assertThat(answer.fallbackPolicy()).isEqualTo(FallbackPolicy.EMBEDDED_FALLBACK);
        service.answer(json(
                "{\"proxy_url\": \"http://10.1.2.3:1\", \"ttl_seconds\": 99999999, \"fallback_policy\": \"what\"}"));
        Answer other = ask(service.delegation(), target("kraken"));
        assertThat(other.ttlNanos()).isEqualTo(Duration.ofHours(1).toNanos());
        assertThat(other.fallbackPolicy()).isEqualTo(FallbackPolicy.EMBEDDED_FALLBACK);
    }

    private record Bad(String name, ResponseDefinitionBuilder answer, Reason reason) {}

    private static Stream<Bad> badAnswers() {
        String secret = "socks5://user:C4NARY@";
        return Stream.of(
                new Bad(
                        "HTML",
                        aResponse()
                                .withStatus(200)
                                .withHeader("Content-Type", "text/html")
                                .withBody("<html>C4NARY</html>"),
                        Reason.INVALID_ANSWER),
                new Bad("no content type", aResponse().withStatus(200).withBody("{}"), Reason.INVALID_ANSWER),
                new Bad("half of a JSON", json("{\"proxy_url\": \"" + secret), Reason.INVALID_ANSWER),
                new Bad("another shape", json("[\"" + secret + "\"]"), Reason.INVALID_ANSWER),
                new Bad("a text for a number", json("{\"ttl_seconds\": \"C4NARY\"}"), Reason.INVALID_ANSWER),
                new Bad(
                        "nothing",
                        aResponse().withStatus(200).withHeader("Content-Type", "application/json"),
                        Reason.INVALID_ANSWER),
                new Bad("an empty object", json("{}"), Reason.INVALID_ANSWER),
                new Bad("a megabyte", json("{\"strategy\": \"" + "x".repeat(1_000_000) + "\"}"), Reason.INVALID_ANSWER),
                new Bad(
                        "another scheme",
                        json("{\"proxy_url\": \"ftp://user:C4NARY@10.1.2.3:1\"}"),
                        Reason.INVALID_ANSWER),
                new Bad("no port", json("{\"proxy_url\": \"" + secret + "10.1.2.3\"}"), Reason.INVALID_ANSWER),
                new Bad(
                        "a line break",
                        json("{\"proxy_url\": \"http://user:C4NARY\\r\\nX: y@10.1.2.3:1\"}"),
                        Reason.INVALID_ANSWER),
                new Bad("link-local", json("{\"proxy_url\": \"http://169.254.169.254:80\"}"), Reason.INVALID_ANSWER),
                new Bad("link-local IPv6", json("{\"proxy_url\": \"http://[fe80::1]:80\"}"), Reason.INVALID_ANSWER),
                new Bad("multicast", json("{\"proxy_url\": \"http://224.0.0.1:80\"}"), Reason.INVALID_ANSWER),
                new Bad("unspecified", json("{\"proxy_url\": \"http://0.0.0.0:80\"}"), Reason.INVALID_ANSWER),
                new Bad("500", aResponse().withStatus(500).withBody("C4NARY"), Reason.SERVER_ERROR),
                new Bad("429", aResponse().withStatus(429).withHeader("Retry-After", "5"), Reason.THROTTLED),
                new Bad("404", aResponse().withStatus(404), Reason.NOT_FOUND),
                new Bad(
                        "a redirect",
                        aResponse().withStatus(302).withHeader("Location", "http://127.0.0.1:1/"),
                        Reason.NOT_FOUND),
                new Bad("a reset", aResponse().withFault(Fault.CONNECTION_RESET_BY_PEER), Reason.UNREACHABLE),
                new Bad("an empty answer", aResponse().withFault(Fault.EMPTY_RESPONSE), Reason.UNREACHABLE),
                new Bad("a slow drip", proxy("http://10.1.2.3:1").withChunkedDribbleDelay(10, 60_000), Reason.TIMEOUT),
                new Bad("silence", proxy("http://10.1.2.3:1").withFixedDelay(60_000), Reason.TIMEOUT));
    }

    @TestFactory
    Stream<DynamicTest> aBadAnswerIsNamedWithoutSecretsAndTheNextEndpointIsAsked() {
        return badAnswers()
                .map(bad -> DynamicTest.dynamicTest(bad.name(), () -> {
                    try (ServiceLab alone = new ServiceLab(1)) {
                        alone.answer(bad.answer());
                        ProxyServiceException failure = failure(alone.delegation());
                        assertThat(failure.reason()).isEqualTo(bad.reason());
                        assertThat(failure.getMessage()).startsWith("the proxy service ");
                        assertThat(failure).hasStackTraceContaining("the proxy service ");
                        assertThat(org.assertj.core.util.Throwables.getStackTrace(failure))
                                .doesNotContain("C4NARY");
                    }
                    try (ServiceLab two = new ServiceLab(2)) {
                        ServiceDelegation delegation =
                                two.delegation("proxy.external-service.retry.max-attempts=1"); // counted below
                        answer(two.endpoints.get(0), bad.answer());
                        answer(two.endpoints.get(1), bad.answer());
                        failure(delegation);
                        two.endpoints.forEach(
                                endpoint -> assertThat(requests(endpoint)).hasSize(1));
                        WireMockServer good = two.endpoints.get(1);
                        answer(good, proxy("http://10.9.9.9:1"));
                        await().atMost(PATIENCE)
                                .ignoreExceptions()
                                .until(() -> Objects.equals(
                                        ask(delegation, target("kraken")).proxy(),
                                        ProxyUrl.parse("http://10.9.9.9:1")));
                    }
                }));
    }

    @Test
    void allowedProxyHostsLimitWhatTheServiceMayName() {
        ServiceLab service = lab(1);
        ServiceDelegation delegation =
                service.delegation("proxy.external-service.allowed-proxy-hosts=.proxies.example.org,10.0.0.0/8");
        service.answer(proxy("http://10.1.2.3:1"));
        assertThat(ask(delegation, BINANCE).proxy()).isNotNull();
        service.answer(proxy("http://proxies.example.com:1"));
        assertThat(delegation.answers().ask(target("kraken")).materialize().block(PATIENCE))
                .satisfies(signal -> assertThat(signal.getThrowable()).hasMessageContaining("allowed-proxy-hosts"));
    }

    @ParameterizedTest
    @ValueSource(ints = {400, 422})
    void aRequestThatIsRejectedIsNotSentToAnotherEndpoint(int status) {
        ServiceLab service = lab(2);
        service.answer(aResponse().withStatus(status));
        assertThat(failure(service.delegation()).reason()).isEqualTo(Reason.REJECTED);
        assertThat(service.requestsInAll()).isEqualTo(1);
    }

    @Test
    void rejectedCredentialsAreReadAgainAndElseTheServiceIsLeftAlone() {
        ServiceLab service = lab(2);
        service.answer(aResponse().withStatus(401));
        service.endpoints.forEach(endpoint -> endpoint.stubFor(post(urlEqualTo(REQUEST))
                .withHeader("Authorization", matching("Bearer token-2"))
                .willReturn(proxy("http://10.1.2.3:1"))));
        ServiceDelegation delegation = service.delegation();
        assertThat(failure(delegation).reason()).isEqualTo(Reason.UNAUTHORIZED);
        int asked = service.requestsInAll();
        assertThat(asked).as("the same credentials are no better elsewhere").isEqualTo(1);
        for (int i = 0; i < 20; i++) {
            delegation.answers().ask(target("exchange" + i)).materialize().block(PATIENCE);
        }
        assertThat(service.requestsInAll()).isEqualTo(asked);

        service.credentials = new AuthCredentials("token-2", null);
        ServiceDelegation rotated = service.delegation();
        assertThat(ask(rotated, BINANCE).proxy()).isNotNull();
    }

    @Test
    void whoeverWaitsIsServedWithinFallbackAfterAndTheLateAnswerIsKept() {
        ServiceLab service = lab(1);
        service.answer(proxy("http://10.1.2.3:1").withFixedDelay(1_500));
        ServiceDelegation delegation = service.delegation("proxy.external-service.fallback-after=300ms");
        Instant start = Instant.now();
        assertThat(failure(delegation).reason()).isEqualTo(Reason.TIMEOUT);
        assertThat(Duration.between(start, Instant.now())).isLessThan(Duration.ofMillis(1_400));
        await().atMost(PATIENCE).until(() -> delegation.answers().cached(BINANCE) != null);
        assertThat(service.requestsInAll()).isEqualTo(1);
    }

    @Test
    void theEndpointThatAnsweredLastIsAskedFirst() {
        ServiceLab service = lab(3);
        ServiceDelegation delegation = service.delegation();
        service.answer(aResponse().withStatus(503));
        answer(service.endpoints.get(2), proxy("http://10.1.2.3:1"));
        ask(delegation, BINANCE);
        service.endpoints.forEach(WireMockServer::resetRequests);
        IntStream.range(0, 10).forEach(i -> ask(delegation, target("exchange" + i)));
        assertThat(requests(service.endpoints.get(2))).hasSize(10);
        assertThat(service.requestsInAll()).isEqualTo(10);
    }

    @Test
    void afterThreeFailuresTheServiceIsLeftAloneAndAskedAgainWhenItsHealthCheckIsBack() {
        ServiceLab service = lab(1);
        service.answer(aResponse().withStatus(500));
        ServiceDelegation delegation = service.delegation(
                "proxy.external-service.health-check.enabled=true",
                "proxy.external-service.health-check.interval=500ms",
                "proxy.external-service.health-check.timeout=500ms",
                "proxy.external-service.retry.max-attempts=1");
        for (int i = 0; i < 20; i++) {
            delegation.answers().ask(target("exchange" + i)).materialize().block(PATIENCE);
        }
        assertThat(service.requestsInAll()).isEqualTo(3);
        service.endpoint()
                .stubFor(get(urlEqualTo("/health")).willReturn(aResponse().withStatus(503)));
        await().atMost(PATIENCE)
                .until(() -> String.valueOf(failure(delegation).getMessage()).contains("known to be down"));
        service.answer(proxy("http://10.1.2.3:1"));
        service.endpoint()
                .stubFor(get(urlEqualTo("/health")).willReturn(aResponse().withStatus(404)));
        await().atMost(Duration.ofSeconds(3))
                .ignoreExceptions()
                .until(() -> ask(delegation, BINANCE).proxy() != null);
    }

    @Test
    void aTrialOfResilience4jsBreakerThatSaysNothingAboutTheServiceDoesNotKeepItClosedForGood() {
        ServiceLab service = lab(1);
        CircuitBreaker breaker = CircuitBreaker.of(
                "tests",
                CircuitBreakerConfig.custom()
                        .slidingWindowSize(3)
                        .minimumNumberOfCalls(3)
                        .failureRateThreshold(100)
                        .waitDurationInOpenState(Duration.ofMillis(100))
                        .permittedNumberOfCallsInHalfOpenState(1)
                        .build());
        ServiceDelegation delegation = service.delegation(breaker, "proxy.external-service.retry.max-attempts=1");
        service.answer(aResponse().withStatus(500));
        for (int i = 0; i < 3; i++) {
            delegation.answers().ask(target("failing" + i)).materialize().block(PATIENCE);
        }
        assertThat(breaker.getState()).isEqualTo(CircuitBreaker.State.OPEN);

        service.answer(aResponse().withStatus(400)); // our fault: neither success nor failure
        AtomicInteger exchanges = new AtomicInteger();
        await().atMost(PATIENCE).until(() -> {
            delegation
                    .answers()
                    .ask(target("rejected" + exchanges.incrementAndGet()))
                    .materialize()
                    .block(PATIENCE);
            return service.requestsInAll() >= 6;
        });
        assertThat(breaker.getState()).isEqualTo(CircuitBreaker.State.HALF_OPEN);

        service.answer(proxy("http://10.1.2.3:1"));
        assertThat(ask(delegation, target("another")).proxy()).isNotNull();
        assertThat(breaker.getState()).isEqualTo(CircuitBreaker.State.CLOSED);
    }

    @Test
    void theAddressOfTheServicesNameIsAskedForAgain() {
        ServiceLab service = lab(1);
        WireMockServer first = service.endpoint();
        WireMockServer moved = new WireMockServer(options().port(first.port()).bindAddress("127.77.3.1"));
        moved.start();
        answer(first, proxy("http://10.1.2.3:1"));
        answer(moved, proxy("http://10.1.2.3:2"));
        ProxySettings settings = service.settings(
                "proxy.external-service.endpoints=http://service.example.org:" + first.port(),
                "proxy.external-service.allow-insecure-http=true");
        try (NameServer names = new NameServer()) {
            names.address = "127.0.0.1";
            ServiceConnection connection = new ServiceConnection(
                    settings.externalService(),
                    HttpResources.get(),
                    () -> null,
                    () -> service.credentials,
                    ObservationRegistry.NOOP,
                    Duration.ofSeconds(1),
                    names.only());
            try (ServiceDelegation delegation = new ServiceDelegation(
                    settings,
                    "tests",
                    connection,
                    null,
                    AnswerStore.plain(10),
                    null,
                    HttpResources.get(),
                    ProxyEventListener.NONE)) {
                ask(delegation, target("before"));
                assertThat(requests(first)).hasSize(1);
                names.address = "127.77.3.1";
                AtomicInteger exchanges = new AtomicInteger();
                await().atMost(PATIENCE).until(() -> {
                    ask(delegation, target("after" + exchanges.incrementAndGet()));
                    return !requests(moved).isEmpty();
                });
            }
        } finally {
            moved.stop();
        }
    }

    @Test
    void aFailedRequestIsRepeatedInTheBackgroundWhileNobodyWaits() {
        ServiceLab service = lab(1);
        service.answer(aResponse().withStatus(503));
        ServiceDelegation delegation = service.delegation(
                "proxy.external-service.retry.initial-backoff=400ms", "proxy.external-service.retry.jitter=0");
        failure(delegation);
        service.answer(proxy("http://10.1.2.3:1"));
        assertThat(failure(delegation)).as("at once, without a call").hasMessageContaining("asked again later");
        await().atMost(PATIENCE).until(() -> delegation.answers().cached(BINANCE) != null);
    }

    @Test
    void theAnswerWhoseProxyFailedIsForgottenAndAnotherAskedForOnceInFiveSeconds() {
        ServiceLab service = lab(1);
        service.answer(proxy("http://10.1.2.3:1"));
        ServiceDelegation delegation = service.delegation();
        List<ProxyUrl> out = new ArrayList<>();
        delegation.answers().onOut(out::add);
        Answer first = ask(delegation, BINANCE);
        service.answer(proxy("http://10.1.2.4:1"));
        delegation.answers().failed(BINANCE, first);
        assertThat(out).containsOnly(ProxyUrl.parse("http://10.1.2.3:1"));
        await().atMost(PATIENCE).until(() -> delegation.answers().cached(BINANCE) != null);
        Answer second = Objects.requireNonNull(delegation.answers().cached(BINANCE));
        assertThat(second.proxy()).isEqualTo(ProxyUrl.parse("http://10.1.2.4:1"));
        service.endpoint()
                .verify(postRequestedFor(urlEqualTo(REQUEST))
                        .withRequestBody(com.github.tomakehurst.wiremock.client.WireMock.matchingJsonPath(
                                "$.metadata.exclude[0]", matching("id-10-1-2-3-1"))));
        for (int i = 0; i < 10; i++) {
            delegation.answers().failed(BINANCE, second);
            delegation.answers().ask(BINANCE).materialize().block(PATIENCE);
        }
        assertThat(service.requestsInAll()).isEqualTo(2);
    }

    @Test
    void aRequestForAnotherProxyThatFailsIsRepeatedSoon() {
        ServiceLab service = lab(1);
        service.answer(proxy("http://10.1.2.3:1"));
        ServiceDelegation delegation = service.delegation("proxy.external-service.retry.jitter=0");
        Answer first = ask(delegation, BINANCE);
        service.answer(aResponse().withStatus(500));
        delegation.answers().failed(BINANCE, first);
        await().atMost(PATIENCE).until(() -> service.requestsInAll() == 2);
        service.answer(proxy("http://10.1.2.4:1"));
        await().atMost(Duration.ofSeconds(3)).until(() -> delegation.answers().cached(BINANCE) != null);
    }

    @Test
    void whatOneTargetDoesNotReachDoesNotCostTheOthersTheirAnswer() {
        ServiceLab service = lab(1);
        service.answer(proxy("http://10.1.2.3:1"));
        ServiceDelegation delegation = service.delegation();
        Answer answer = ask(delegation, BINANCE);
        for (int i = 0; i < 10; i++) {
            delegation.answers().failedForTarget(BINANCE, answer);
        }
        assertThat(delegation.answers().cached(BINANCE)).isSameAs(answer);
        assertThat(delegation.answers().isAvoided(BINANCE, answer)).isTrue();
        ProxyTarget elsewhere = new ProxyTarget(BINANCE.exchange(), BINANCE.type(), "stream.binance.com", 443);
        assertThat(delegation.answers().isAvoided(elsewhere, answer)).isFalse();
        assertThat(service.requestsInAll()).isEqualTo(1);

        delegation.answers().failedForTarget(elsewhere, answer);
        delegation
                .answers()
                .failedForTarget(new ProxyTarget(BINANCE.exchange(), BINANCE.type(), "third.binance.com", 443), answer);
        await("three targets show that it is the proxy").atMost(PATIENCE).until(() -> service.requestsInAll() == 2);
    }

    @Test
    void whileTheServiceIsKnownToBeDownNobodyWaitsForARequestOfBefore() {
        AtomicBoolean down = new AtomicBoolean();
        ProxyServiceClient never = new ProxyServiceClient() {
            @Override
            public Mono<ProxyResponse> request(ProxyRequest request, String correlationId) {
                return Mono.never();
            }

            @Override
            public boolean isKnownToBeDown() {
                return down.get();
            }
        };
        try (ServiceDelegation delegation = lab(1).delegation(never)) {
            delegation.answers().ask(BINANCE).subscribe(answer -> {}, failure -> {});
            down.set(true);
            assertThat(failure(delegation)).hasMessageContaining("known to be down");
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aClientOfTheApplicationsOwnMayFailInAnyWay(boolean thrown) {
        ProxyServiceClient broken = (request, correlationId) -> {
            if (thrown) {
                throw new IllegalStateException("C4NARY");
            }
            return Mono.error(new IOException("C4NARY"));
        };
        try (ServiceDelegation delegation = lab(1).delegation(broken)) {
            for (int i = 0; i < 10; i++) {
                ProxyServiceException failure = failure(delegation);
                assertThat(failure).hasMessageStartingWith("the proxy service ");
                assertThat(failure.getMessage()).doesNotContain("C4NARY");
            }
        }
    }

    @Test
    void anAnswerThatTheServiceTakesBackIsForgotten() {
        ServiceLab service = lab(1);
        service.answer(proxy("http://10.1.2.3:1"));
        ServiceDelegation delegation = service.delegation();
        ask(delegation, BINANCE);
        delegation.answers().invalidate(List.of("another"));
        assertThat(delegation.answers().cached(BINANCE)).isNotNull();
        delegation.answers().invalidate(List.of("id-10-1-2-3-1"));
        assertThat(delegation.answers().cached(BINANCE)).isNull();
    }

    @Test
    void anExpiredAnswerServesWhereStaleIfErrorAllows() {
        ServiceLab service = lab(1);
        service.answer(json("{\"proxy_url\": \"http://10.1.2.3:1\", \"ttl_seconds\": 1}"));
        ServiceDelegation delegation = service.delegation(
                "proxy.external-service.min-ttl-seconds=0",
                "proxy.external-service.cache.stale-if-error=1m",
                "proxy.external-service.cache.refresh-ahead=false");
        ask(delegation, BINANCE);
        await().atMost(PATIENCE).until(() -> delegation.answers().cached(BINANCE) == null);
        assertThat(delegation.answers().stale(BINANCE)).isNotNull();
        ServiceDelegation strict = service.delegation(
                "proxy.external-service.min-ttl-seconds=0", "proxy.external-service.cache.refresh-ahead=false");
        ask(strict, BINANCE);
        await().atMost(PATIENCE).until(() -> strict.answers().cached(BINANCE) == null);
        assertThat(strict.answers().stale(BINANCE)).isNull();
    }

    @Test
    void whatIsToBeWarmIsAskedForAtTheStart() {
        ServiceLab service = lab(1);
        service.answer(proxy("http://10.1.2.3:1"));
        ServiceDelegation delegation = service.delegation("proxy.external-service.cache.warm-up=binance,kraken");
        await().atMost(PATIENCE)
                .until(() -> delegation.answers().cached(BINANCE) != null
                        && delegation.answers().cached(target("kraken")) != null);
        assertThat(service.requestsInAll()).isEqualTo(4);
    }

    @Test
    void aStableShareOfTheExchangesAsksTheService() {
        ServiceLab service = lab(1);
        ProxyAnswers half =
                service.delegation("proxy.external-service.rollout-percent=50").answers();
        long served = IntStream.range(0, 1_000)
                .filter(i -> half.serves(ExchangeId.of("exchange" + i)))
                .count();
        assertThat(served).isBetween(400L, 600L);
        ProxyAnswers none =
                service.delegation("proxy.external-service.rollout-percent=0").answers();
        assertThat(none.serves(ExchangeId.of("binance"))).isFalse();
    }

    @Test
    void severalRequestsWithRejectedCredentialsAreOnePause(CapturedOutput output) {
        ServiceLab service = lab(1);
        service.answer(aResponse().withStatus(401).withFixedDelay(100));
        ServiceDelegation delegation = service.delegation();
        Flux.range(0, 6)
                .flatMap(i -> delegation.answers().ask(target("exchange" + i)).materialize())
                .blockLast(PATIENCE);
        assertThat(output.getOut()).containsOnlyOnce("rejects our credentials").contains("asked again in 60 s");
    }

    @Test
    void aProxyThatFailedWhileItsRenewalWasUnderWayIsNotKeptAgain() {
        ServiceLab service = lab(1);
        String first =
                "{\"proxy_url\": \"http://10.1.2.3:1\", \"ttl_seconds\": 2, \"metadata\": {\"proxy_id\": \"a\"}}";
        service.answer(json(first));
        ServiceDelegation delegation = service.delegation("proxy.external-service.min-ttl-seconds=0");
        Answer answer = ask(delegation, BINANCE);
        service.answer(json(first).withFixedDelay(500));
        service.endpoint()
                .stubFor(
                        post(urlEqualTo(REQUEST))
                                .withRequestBody(matchingJsonPath("$.metadata.exclude[?(@ == 'a')]"))
                                .willReturn(
                                        json(
                                                "{\"proxy_url\": \"http://10.1.2.3:2\", \"ttl_seconds\": 300, \"metadata\": {\"proxy_id\": \"b\"}}")));
        await().atMost(PATIENCE)
                .until(
                        () -> { // in use, so that it is renewed
                            delegation.answers().cached(BINANCE);
                            return service.requestsInAll() == 2;
                        });
        delegation.answers().failed(BINANCE, answer);
        await().atMost(PATIENCE).until(() -> delegation.answers().cached(BINANCE) != null);
        assertThat(Objects.requireNonNull(delegation.answers().cached(BINANCE)).proxyId())
                .isEqualTo("b");
    }

    @Test
    void allProxiesThatHaveFailedLatelyAreExcluded() {
        ServiceLab service = lab(1);
        ServiceDelegation delegation = service.delegation();
        List<Answer> given = new ArrayList<>();
        for (String id : List.of("a", "b", "c")) {
            service.answer(json("{\"proxy_url\": \"http://10.1.2.3:%d\", \"metadata\": {\"proxy_id\": \"%s\"}}"
                    .formatted(id.charAt(0) - 'a' + 1, id)));
            // another key each time is asked at once; failures are of one key
            given.add(
                    Objects.requireNonNull(delegation.answers().ask(target(id)).block(PATIENCE)));
        }
        given.forEach(answer -> delegation.answers().failed(BINANCE, answer));
        await().atMost(PATIENCE).untilAsserted(() -> {
            // the first failure has asked by itself, perhaps before the others; what came of that is not to be kept
            delegation.answers().evict(BINANCE.exchange(), BINANCE.type());
            delegation.answers().ask(BINANCE).materialize().block(PATIENCE);
            assertThat(requests(service.endpoint())).anySatisfy(request -> assertThat(request.getBodyAsString())
                    .contains("\"exclude\":[\"c\",\"b\",\"a\"]"));
        });
    }

    @Test
    void oneAccidentOfTheOnlyEndpointCostsARetry() {
        ServiceLab service = lab(1);
        service.answer(proxy("http://10.1.2.3:1"));
        service.endpoint()
                .stubFor(post(urlEqualTo(REQUEST))
                        .inScenario("accident")
                        .whenScenarioStateIs(Scenario.STARTED)
                        .willReturn(aResponse().withFault(Fault.CONNECTION_RESET_BY_PEER))
                        .willSetStateTo("over"));
        ServiceDelegation delegation = service.delegation();
        assertThat(ask(delegation, BINANCE).proxy()).isNotNull();
        assertThat(ask(delegation, target("kraken")).proxy()).isNotNull();
    }

    @Test
    void onlyTheFirstCallersWaitForARequestThatHangs() {
        ServiceLab service = lab(1);
        service.answer(proxy("http://10.1.2.3:1").withFixedDelay(60_000));
        ServiceDelegation delegation = service.delegation("proxy.external-service.fallback-after=300ms");
        assertThat(delegation.answers().ask(BINANCE).materialize().block(PATIENCE))
                .satisfies(signal -> assertThat(signal.getThrowable()).isInstanceOf(ProxyServiceException.class));
        assertThat(delegation.answers().unavailable(BINANCE)).contains("did not answer within fallback-after");
        assertThat(delegation.answers().unavailable(target("another"))).isNull();
    }

    @Test
    void retryAfterIsKeptToForAllKeysWhateverTheHealthChecksSay() {
        ServiceLab service = lab(1);
        service.answer(aResponse().withStatus(429).withHeader("Retry-After", "120"));
        ServiceDelegation delegation = service.delegation(
                "proxy.external-service.health-check.enabled=true",
                "proxy.external-service.health-check.interval=100ms",
                "proxy.external-service.health-check.timeout=100ms");
        assertThat(failure(delegation).reason()).isEqualTo(Reason.THROTTLED);
        int checks = checks(service);
        await().atMost(PATIENCE).until(() -> checks(service) > checks + 2);
        assertThat(delegation.answers().unavailable(target("another"))).isNotNull();
        delegation.answers().ask(target("another")).materialize().block(PATIENCE);
        assertThat(service.requestsInAll()).isEqualTo(1);
    }

    private static int checks(ServiceLab service) {
        return service.endpoint()
                .findAll(getRequestedFor(urlEqualTo("/health")))
                .size();
    }

    @Test
    void answersOfOneUseAreAskedForSeveralAtOnce() {
        ServiceLab service = lab(1);
        service.answer(json("{\"proxy_url\": \"http://10.1.2.3:1\", \"ttl_seconds\": 0}")
                .withFixedDelay(50));
        ServiceDelegation delegation = service.delegation(
                "proxy.external-service.min-ttl-seconds=0", "proxy.external-service.fallback-after=5s");
        List<Answer> answers = Objects.requireNonNull(Flux.range(0, 100)
                .flatMap(i -> delegation.answers().ask(BINANCE), 100)
                .collectList()
                .block(PATIENCE));
        assertThat(answers).hasSize(100).doesNotHaveDuplicates();
    }

    @Test
    void connectionsWithoutAnExchangeAreServedByWhatTheServiceHasForTheDefault() {
        ServiceLab service = lab(1);
        service.answer(proxy("http://10.1.2.3:1"));
        ask(service.delegation(), new ProxyTarget(ExchangeId.UNMATCHED, ConnectionType.HTTP, "example.org", 443));
        assertThat(requests(service.endpoint()).get(0).getBodyAsString()).contains("\"exchange_id\":\"default\"");
    }

    @Test
    void thePlainStoreForgetsWhatWasUsedLeastRecently() {
        AnswerStore store = AnswerStore.plain(2);
        Map<String, AnswerKey> keys = Map.of(
                "a", key("a"),
                "b", key("b"),
                "c", key("c"));
        Answer answer = new Answer(null, null, null, "", FallbackPolicy.EMBEDDED_FALLBACK, 0, 1, 1);
        store.put(keys.get("a"), answer);
        store.put(keys.get("b"), answer);
        store.get(keys.get("a"));
        store.put(keys.get("c"), answer);
        assertThat(store.get(keys.get("a"))).isNotNull();
        assertThat(store.get(keys.get("b"))).isNull();
    }

    private static AnswerKey key(String exchange) {
        return new AnswerKey(ExchangeId.of(exchange), io.egressproxy.ConnectionType.HTTP, "");
    }
}
