package io.egressproxy.service;

import static com.github.tomakehurst.wiremock.client.WireMock.aResponse;
import static com.github.tomakehurst.wiremock.client.WireMock.absent;
import static com.github.tomakehurst.wiremock.client.WireMock.matchingJsonPath;
import static com.github.tomakehurst.wiremock.client.WireMock.post;
import static com.github.tomakehurst.wiremock.client.WireMock.postRequestedFor;
import static com.github.tomakehurst.wiremock.client.WireMock.urlEqualTo;
import static io.egressproxy.service.ServiceLab.PATIENCE;
import static io.egressproxy.service.ServiceLab.json;
import static io.egressproxy.service.ServiceLab.proxy;
import static io.egressproxy.service.ServiceLab.target;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.github.tomakehurst.wiremock.client.ResponseDefinitionBuilder;
import com.github.tomakehurst.wiremock.stubbing.Scenario;
import com.github.tomakehurst.wiremock.verification.LoggedRequest;
import io.egressproxy.Blame;
import io.egressproxy.ConnectionStage;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyEventListener;
import io.egressproxy.ProxyTarget;
import io.egressproxy.settings.ExternalServiceSettings.AuthCredentials;
import io.egressproxy.settings.ProxySettings;
import io.micrometer.observation.ObservationRegistry;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import reactor.core.publisher.Mono;
import reactor.netty.http.HttpResources;

/** What the service is told of its proxies, and what becomes of it when the service does not want to hear it. */
@ExtendWith(OutputCaptureExtension.class)
@Tag("FR-3")
@Tag("TR-3")
class FeedbackTests {
    private static final String ONE = "/api/v1/proxy/feedback";
    private static final String BATCH = "/api/v1/proxy/feedback/batch";
    private static final ProxyTarget BINANCE = target("binance");
    private static final Duration LATENCY = Duration.ofMillis(45);
    private static final Outcome SUCCEEDED = new Outcome.Succeeded(LATENCY);
    private static final Outcome REFUSED =
            new Outcome.Failed(ConnectionStage.TCP, Blame.PROXY, "refused the connection");

    private final ServiceLab service = new ServiceLab(1);
    private final ObjectMapper mapper = new ObjectMapper();

    FeedbackTests() {
        service.answer(proxy("socks5://user:C4NARY@10.1.2.3:1080"));
        batches(json("{}"));
    }

    @AfterEach
    void close(CapturedOutput output) {
        service.close();
        assertThat(output).doesNotContain("C4NARY");
    }

    private void batches(ResponseDefinitionBuilder answer) {
        service.endpoint().stubFor(post(urlEqualTo(BATCH)).willReturn(answer));
    }

    private void singles(ResponseDefinitionBuilder answer) {
        service.endpoint().stubFor(post(urlEqualTo(ONE)).willReturn(answer));
    }

    private ProxyAnswers quick(String... properties) {
        List<String> all = new ArrayList<>(List.of(
                "proxy.external-service.feedback.urgent-flush-interval=50ms",
                "proxy.external-service.feedback.flush-interval=100ms"));
        all.addAll(List.of(properties));
        return service.delegation(all.toArray(String[]::new)).answers();
    }

    private static Answer ask(ProxyAnswers answers) {
        return Objects.requireNonNull(answers.ask(BINANCE).block(PATIENCE));
    }

    /** One connection from its start to its end. */
    private static void connection(ProxyAnswers answers, Answer answer, Outcome outcome) {
        answers.connectionStarted(BINANCE, answer);
        answers.connectionTurnedOut(BINANCE, answer, outcome);
        answers.connectionClosed(BINANCE, answer);
    }

    private List<LoggedRequest> requests(String path) {
        return service.endpoint().findAll(postRequestedFor(urlEqualTo(path)));
    }

    private JsonNode body(LoggedRequest request) {
        try {
            return mapper.readTree(request.getBody());
        } catch (java.io.IOException unreadable) {
            throw new java.io.UncheckedIOException(unreadable);
        }
    }

    private List<JsonNode> reports() {
        List<JsonNode> reports = new ArrayList<>();
        requests(BATCH).forEach(request -> body(request).path("reports").forEach(reports::add));
        return reports;
    }

    private void awaitFeedback(String outcome, long count) {
        await().atMost(PATIENCE)
                .untilAsserted(() ->
                        assertThat(service.feedback).as("%s", service.feedback).containsEntry(outcome, count));
    }

    @Test
    void aConnectionIsReportedWhenItStartsWhenItTurnsOutAndWhenItEnds() {
        ProxyAnswers answers = quick();
        Answer answer = ask(answers);
        connection(answers, answer, SUCCEEDED);
        awaitFeedback("accepted", 3);
        assertThat(reports()).hasSize(3).allSatisfy(report -> {
            assertThat(report.path("proxy_url").asText()).isEqualTo("socks5://user:C4NARY@10.1.2.3:1080");
            assertThat(report.path("exchange_id").asText()).isEqualTo("binance");
            assertThat(report.path("connection_type").asText()).isEqualTo("http");
            assertThat(report.path("client_id").asText()).isEqualTo("tests");
            assertThat(report.path("proxy_id").asText()).isEqualTo("id-10-1-2-3-1080");
            assertThat(report.path("correlation_id").asText()).isEqualTo(answer.correlationId());
            assertThat(Instant.parse(report.path("timestamp").asText()))
                    .isBetween(Instant.now().minusSeconds(60), Instant.now());
        });
        assertThat(reports().get(0).path("event").asText()).isEqualTo("connection_started");
        JsonNode outcome = reports().get(1);
        assertThat(outcome.has("event")).isFalse();
        assertThat(outcome.path("success").asBoolean()).isTrue();
        assertThat(outcome.path("latency_ms").asLong()).isEqualTo(45);
        assertThat(outcome.get("error_details").isNull()).isTrue();
        assertThat(reports().get(2).path("event").asText()).isEqualTo("connection_closed");
        assertThat(requests(BATCH)).allSatisfy(request -> {
            assertThat(request.header("Authorization").firstValue()).isEqualTo("Bearer token-1-C4NARY");
            assertThat(request.header("X-Correlation-ID").firstValue())
                    .isEqualTo(body(request).path("batch_id").asText());
        });
    }

    @Test
    void aFailureHasACodeWhatWasSeenAndWhoseFaultItWasWithoutSecrets() {
        ProxyAnswers answers = quick();
        Answer answer = ask(answers);
        answers.connectionTurnedOut(BINANCE, answer, REFUSED);
        answers.connectionTurnedOut(
                BINANCE, answer, new Outcome.Failed(ConnectionStage.HANDSHAKE, Blame.PROXY, "late", null, true));
        answers.connectionTurnedOut(
                BINANCE,
                answer,
                new Outcome.Failed(
                        ConnectionStage.TUNNEL,
                        Blame.TARGET,
                        "a\r\nb http://user:C4NARY@h/ C4NARY " + "x".repeat(500)));
        awaitFeedback("accepted", 3);
        assertThat(reports())
                .allSatisfy(
                        report -> assertThat(report.path("success").asBoolean()).isFalse());
        assertThat(reports().stream().map(report -> report.path("error_details").asText()))
                .satisfiesExactly(
                        refused -> assertThat(refused).isEqualTo("unreachable: refused the connection"),
                        late -> assertThat(late).isEqualTo("timeout: late"),
                        other -> assertThat(other)
                                .startsWith("target: a b http://***@h/ *** xxx")
                                .hasSize("target: ".length() + 256));
        assertThat(reports().stream().map(report -> report.path("blame").asText()))
                .containsExactly("proxy", "proxy", "target");
    }

    @Test
    void failuresLeaveSoonAndSuccessesTogether() {
        ProxyAnswers answers = quick("proxy.external-service.feedback.flush-interval=1h");
        Answer answer = ask(answers);
        connection(answers, answer, SUCCEEDED);
        answers.connectionTurnedOut(BINANCE, answer, REFUSED);
        awaitFeedback("accepted", 1);
        assertThat(reports()).singleElement().satisfies(report -> assertThat(
                        report.path("success").asBoolean())
                .isFalse());
        IntStream.range(0, 253).forEach(i -> answers.connectionTurnedOut(BINANCE, answer, SUCCEEDED));
        awaitFeedback("accepted", 257); // a whole batch waits for nothing
        assertThat(requests(BATCH)).hasSize(2);
    }

    @Test
    void whatIsLongIsCompressedUnlessTheServiceDoesNotTakeThat() {
        ProxyAnswers answers = quick();
        Answer answer = ask(answers);
        answers.connectionTurnedOut(BINANCE, answer, SUCCEEDED);
        awaitFeedback("accepted", 1);
        assertThat(requests(BATCH).get(0).containsHeader("Content-Encoding")).isFalse();

        service.endpoint()
                .stubFor(post(urlEqualTo(BATCH))
                        .withHeader("Content-Encoding", com.github.tomakehurst.wiremock.client.WireMock.equalTo("gzip"))
                        .willReturn(aResponse().withStatus(415)));
        IntStream.range(0, 50).forEach(i -> answers.connectionTurnedOut(BINANCE, answer, SUCCEEDED));
        awaitFeedback("accepted", 51);
        List<LoggedRequest> compressed = requests(BATCH).stream()
                .filter(request -> request.containsHeader("Content-Encoding"))
                .toList();
        assertThat(compressed).hasSize(1);
        IntStream.range(0, 50).forEach(i -> answers.connectionTurnedOut(BINANCE, answer, SUCCEEDED));
        awaitFeedback("accepted", 101);
        assertThat(requests(BATCH).stream().filter(request -> request.containsHeader("Content-Encoding")))
                .as("it is remembered")
                .hasSize(1);
    }

    @ParameterizedTest
    @ValueSource(ints = {404, 405, 501})
    void aServiceWithoutBatchesIsToldOneByOneAndThatIsRemembered(int status) {
        batches(aResponse().withStatus(status));
        singles(json("{}"));
        ProxyAnswers answers = quick();
        Answer answer = ask(answers);
        connection(answers, answer, SUCCEEDED);
        awaitFeedback("accepted", 1);
        awaitFeedback("dropped_not_supported", 2); // the specification knows no events: they would read as successes
        connection(answers, answer, REFUSED);
        awaitFeedback("accepted", 2);
        assertThat(requests(BATCH)).hasSize(1);
        assertThat(requests(ONE)).hasSize(2).allSatisfy(request -> assertThat(
                        request.header("X-Correlation-ID").firstValue())
                .isEqualTo(answer.correlationId()));
    }

    @Test
    void aServiceThatTakesTheFieldsOfTheSpecificationOnlyGetsNoOthersAndNoEvents() {
        batches(aResponse().withStatus(422));
        service.endpoint()
                .stubFor(post(urlEqualTo(BATCH))
                        .withRequestBody(matchingJsonPath("$.reports[0].age_ms", absent()))
                        .willReturn(json("{}")));
        ProxyAnswers answers = quick();
        Answer answer = ask(answers);
        connection(answers, answer, SUCCEEDED);
        awaitFeedback("accepted", 1);
        awaitFeedback("dropped_not_supported", 2);
        connection(answers, answer, SUCCEEDED);
        awaitFeedback("accepted", 2);
        // all; without events; without the other fields; and that at once
        assertThat(requests(BATCH)).hasSize(4);
        JsonNode last = body(requests(BATCH).get(3)).path("reports");
        assertThat(last).hasSize(1);
        assertThat(last.get(0).fieldNames())
                .toIterable()
                .containsExactlyInAnyOrder(
                        "proxy_url",
                        "exchange_id",
                        "connection_type",
                        "success",
                        "latency_ms",
                        "error_details",
                        "timestamp",
                        "client_id");
    }

    @Test
    void aReportThatIsRejectedIsDroppedAloneAndTheReasonSaidOnce(CapturedOutput output) {
        service.endpoint()
                .stubFor(post(urlEqualTo(BATCH))
                        .withRequestBody(matchingJsonPath("$.reports[?(@.latency_ms == 13)]"))
                        .willReturn(aResponse().withStatus(400)));
        ProxyAnswers answers = quick();
        Answer answer = ask(answers);
        for (int i = 10; i < 20; i++) {
            answers.connectionTurnedOut(BINANCE, answer, new Outcome.Succeeded(Duration.ofMillis(i)));
        }
        awaitFeedback("accepted", 9);
        awaitFeedback("dropped_rejected", 1);
        answers.connectionTurnedOut(BINANCE, answer, new Outcome.Succeeded(Duration.ofMillis(13)));
        awaitFeedback("dropped_rejected", 2);
        assertThat(output.getOut().split("The proxy service answers 400 to ProxyFeedback", -1))
                .hasSize(2);
    }

    @Test
    void aRejectedEventAmongOutcomesIsDroppedAloneAndSaysNothingAboutTheFields() {
        service.endpoint()
                .stubFor(post(urlEqualTo(BATCH))
                        .withRequestBody(matchingJsonPath("$.reports[?(@.event == 'connection_started')]"))
                        .willReturn(aResponse().withStatus(400)));
        ProxyAnswers answers = quick();
        Answer answer = ask(answers);
        connection(answers, answer, SUCCEEDED);
        awaitFeedback("accepted", 2);
        awaitFeedback("dropped_rejected", 1);
        assertThat(service.feedback).doesNotContainKey("dropped_not_supported");
    }

    @Test
    void manyRejectedReportsCostNoneOfTheOthers() {
        service.endpoint()
                .stubFor(post(urlEqualTo(BATCH))
                        .withRequestBody(matchingJsonPath("$.reports[?(@.latency_ms == 13)]"))
                        .willReturn(aResponse().withStatus(422)));
        ProxyAnswers answers = quick();
        Answer answer = ask(answers);
        IntStream.range(0, 250)
                .forEach(i -> answers.connectionTurnedOut(
                        BINANCE, answer, new Outcome.Succeeded(Duration.ofMillis(i % 10 == 0 ? 13 : 14))));
        awaitFeedback("accepted", 225);
        awaitFeedback("dropped_rejected", 25);
        answers.connectionTurnedOut(BINANCE, answer, SUCCEEDED);
        awaitFeedback("accepted", 226);
    }

    @Test
    void aPartThatComesAgainComesUnderItsOwnIdWithTheSameReports() {
        service.endpoint()
                .stubFor(post(urlEqualTo(BATCH))
                        .withRequestBody(matchingJsonPath("$.reports[4]"))
                        .willReturn(aResponse().withStatus(413)));
        service.endpoint()
                .stubFor(post(urlEqualTo(BATCH))
                        .withRequestBody(matchingJsonPath("$.reports[0][?(@.latency_ms == 4)]"))
                        .inScenario("part")
                        .whenScenarioStateIs(Scenario.STARTED)
                        .willReturn(aResponse().withStatus(503))
                        .willSetStateTo("back"));
        ProxyAnswers answers = quick();
        Answer answer = ask(answers);
        IntStream.range(0, 8)
                .forEach(
                        i -> answers.connectionTurnedOut(BINANCE, answer, new Outcome.Succeeded(Duration.ofMillis(i))));
        awaitFeedback("accepted", 8);
        Map<String, Set<String>> contents = requests(BATCH).stream()
                .map(this::body)
                .collect(Collectors.groupingBy(
                        batch -> batch.path("batch_id").asText(),
                        Collectors.mapping(
                                batch -> batch.path("reports")
                                        .findValuesAsText("latency_ms")
                                        .toString(),
                                Collectors.toSet())));
        assertThat(contents.values()).as("what each id stood for: %s", contents).allSatisfy(one -> assertThat(one)
                .hasSize(1));
    }

    @Test
    void oneByOneTheFirstTroubleEndsIt() {
        batches(aResponse().withStatus(404));
        singles(aResponse().withStatus(401));
        ProxyAnswers answers = quick();
        Answer answer = ask(answers);
        IntStream.range(0, 200).forEach(i -> answers.connectionTurnedOut(BINANCE, answer, SUCCEEDED));
        await().atMost(PATIENCE).until(() -> !requests(ONE).isEmpty());
        await().during(Duration.ofMillis(500))
                .atMost(PATIENCE)
                .until(() -> requests(ONE).size() <= 8);
    }

    @Test
    void rejectedCredentialsAtTheShutdownAreNoReasonToInsist(CapturedOutput output) {
        batches(aResponse().withStatus(401));
        ServiceDelegation delegation = service.delegation();
        delegation.answers().connectionTurnedOut(BINANCE, ask(delegation.answers()), REFUSED);
        delegation.close();
        assertThat(requests(BATCH)).hasSizeLessThan(3);
        assertThat(service.feedback).containsOnlyKeys("dropped_shutdown");
        assertThat(output).contains("1 report(s) to the proxy service are lost");
    }

    @Test
    void whatComesAfterTheShutdownIsCounted() {
        ServiceDelegation delegation = service.delegation();
        Answer answer = ask(delegation.answers());
        delegation.sayGoodbye();
        delegation.answers().connectionClosed(BINANCE, answer);
        assertThat(service.feedback).containsEntry("dropped_shutdown", 1L);
    }

    @Test
    void aRejectedEventSaysNothingAboutTheFieldsThatTheServiceTakes() {
        service.endpoint()
                .stubFor(post(urlEqualTo(BATCH))
                        .withRequestBody(matchingJsonPath("$.reports[?(@.event == 'connection_started')]"))
                        .willReturn(aResponse().withStatus(400)));
        ProxyAnswers answers = quick();
        Answer answer = ask(answers);
        answers.connectionStarted(BINANCE, answer);
        awaitFeedback("dropped_rejected", 1);
        answers.connectionTurnedOut(BINANCE, answer, REFUSED);
        awaitFeedback("accepted", 1);
        assertThat(reports().get(reports().size() - 1).has("age_ms")).isTrue();
    }

    @Test
    void aServiceThatRejectsEverythingIsNotAskedAboutEachReport() {
        batches(aResponse().withStatus(400));
        ProxyAnswers answers = quick();
        Answer answer = ask(answers);
        IntStream.range(0, 256).forEach(i -> answers.connectionTurnedOut(BINANCE, answer, SUCCEEDED));
        awaitFeedback("dropped_rejected", 256);
        int asked = requests(BATCH).size();
        assertThat(asked).isLessThan(100);
        IntStream.range(0, 256).forEach(i -> answers.connectionTurnedOut(BINANCE, answer, SUCCEEDED));
        awaitFeedback("dropped_rejected", 512);
        assertThat(requests(BATCH)).as("for a while it is not asked again").hasSize(asked);
    }

    @Test
    void aBatchThatIsTooLargeComesInParts() {
        service.endpoint()
                .stubFor(post(urlEqualTo(BATCH))
                        .withRequestBody(matchingJsonPath("$.reports[40]"))
                        .willReturn(aResponse().withStatus(413)));
        ProxyAnswers answers = quick();
        Answer answer = ask(answers);
        IntStream.range(0, 256).forEach(i -> answers.connectionTurnedOut(BINANCE, answer, SUCCEEDED));
        awaitFeedback("accepted", 256);
        assertThat(requests(BATCH).stream()
                        .map(request -> body(request).path("batch_id").asText()))
                .doesNotHaveDuplicates();
    }

    @ParameterizedTest
    @ValueSource(ints = {500, 503, 429})
    void aBatchThatFailsComesAgainUnderTheSameIdThreeTimesAtMost(int status) {
        batches(aResponse().withStatus(status));
        ProxyAnswers answers = quick();
        answers.connectionTurnedOut(BINANCE, ask(answers), REFUSED);
        awaitFeedback("dropped_failed", 1);
        assertThat(requests(BATCH)).hasSize(3);
        assertThat(requests(BATCH).stream()
                        .map(request -> body(request).path("batch_id").asText())
                        .distinct())
                .hasSize(1);
    }

    @Test
    void aBatchThatSucceedsTheSecondTimeIsCountedOnce() {
        service.endpoint()
                .stubFor(post(urlEqualTo(BATCH))
                        .inScenario("once")
                        .whenScenarioStateIs(Scenario.STARTED)
                        .willReturn(aResponse().withStatus(503))
                        .willSetStateTo("back"));
        ProxyAnswers answers = quick();
        answers.connectionTurnedOut(BINANCE, ask(answers), REFUSED);
        awaitFeedback("accepted", 1);
        assertThat(requests(BATCH)).hasSize(2);
        assertThat(service.feedback).containsOnlyKeys("accepted");
    }

    @Test
    void rejectedCredentialsAreReadAgainAndElseReportsWait() {
        batches(aResponse().withStatus(401));
        service.endpoint()
                .stubFor(post(urlEqualTo(BATCH))
                        .withHeader(
                                "Authorization",
                                com.github.tomakehurst.wiremock.client.WireMock.equalTo("Bearer token-2"))
                        .willReturn(json("{}")));
        ProxyAnswers answers = quick();
        Answer answer = ask(answers);
        service.credentials = new AuthCredentials("token-2", null);
        answers.connectionTurnedOut(BINANCE, answer, REFUSED);
        awaitFeedback("accepted", 1);

        service.credentials = new AuthCredentials("token-3", null);
        batches(aResponse().withStatus(403));
        int before = requests(BATCH).size();
        answers.connectionTurnedOut(BINANCE, answer, REFUSED);
        await().atMost(PATIENCE).until(() -> requests(BATCH).size() > before);
        answers.connectionTurnedOut(BINANCE, answer, REFUSED);
        assertThat(ask(answers)).as("asking for proxies goes on").isNotNull();
        assertThat(service.feedback).as("nothing is dropped").containsOnlyKeys("accepted");
    }

    @Test
    void theReplyMayTakeProxiesBack() {
        batches(json("{\"invalidate\": [\"id-10-1-2-3-1080\"], \"more\": 1}"));
        ProxyAnswers answers = quick();
        Answer answer = ask(answers);
        assertThat(answers.cached(BINANCE)).isSameAs(answer);
        answers.connectionTurnedOut(BINANCE, answer, SUCCEEDED);
        await().atMost(PATIENCE).until(() -> answers.cached(BINANCE) == null);
    }

    @Test
    void aReplyThatIsNoJsonIsAReplyAllTheSame() {
        batches(aResponse().withHeader("Content-Type", "text/plain").withBody("ok"));
        ProxyAnswers answers = quick();
        answers.connectionTurnedOut(BINANCE, ask(answers), SUCCEEDED);
        awaitFeedback("accepted", 1);
    }

    @Test
    void whatIsOlderThanMaxAgeIsDropped() {
        batches(aResponse().withStatus(503));
        ProxyAnswers answers = quick("proxy.external-service.feedback.max-age=100ms");
        answers.connectionTurnedOut(BINANCE, ask(answers), SUCCEEDED);
        awaitFeedback("dropped_expired", 1);
    }

    @Test
    void aFullQueueDropsSuccessesBeforeFailuresAndCountsThem(CapturedOutput output) {
        batches(json("{}").withFixedDelay(60_000));
        ProxyAnswers answers = quick(
                "proxy.external-service.feedback.queue-capacity=64",
                "proxy.external-service.feedback.batch-size=1",
                "proxy.external-service.feedback.flush-interval=1h",
                "proxy.external-service.timeout-seconds=60");
        Answer answer = ask(answers);
        IntStream.range(0, 1_000).forEach(i -> answers.connectionTurnedOut(BINANCE, answer, SUCCEEDED));
        IntStream.range(0, 60).forEach(i -> answers.connectionTurnedOut(BINANCE, answer, REFUSED));
        await().atMost(PATIENCE).untilAsserted(() -> assertThat(service.feedback.getOrDefault("dropped_overflow", 0L))
                .isBetween(1_000L - 64 - 4, 1_000L - 64));
        await().atMost(PATIENCE).untilAsserted(() -> assertThat(output)
                .contains("Reports to the proxy service were dropped: {overflow="));
        assertThat(ask(answers)).as("asking for proxies goes on").isNotNull();
    }

    @Test
    void whatWaitsIsSentAtTheShutdown() {
        ServiceDelegation delegation = service.delegation(
                "proxy.external-service.feedback.urgent-flush-interval=1h",
                "proxy.external-service.feedback.flush-interval=1h");
        Answer answer = ask(delegation.answers());
        IntStream.range(0, 600).forEach(i -> connection(delegation.answers(), answer, SUCCEEDED));
        delegation.close();
        assertThat(service.feedback).containsOnly(org.assertj.core.api.Assertions.entry("accepted", 1_800L));
        connection(delegation.answers(), answer, SUCCEEDED); // nobody listens any more, and nobody minds
        await().atMost(PATIENCE) // a thread that has been told to end takes a moment for it, that of the test before
                // as well
                .untilAsserted(() -> assertThat(Thread.getAllStackTraces().keySet())
                        .filteredOn(Thread::isAlive)
                        .extracting(Thread::getName)
                        .noneMatch(name -> name.startsWith("proxy-feedback")));
    }

    @Test
    void whatTheServiceDoesNotTakeAtTheShutdownIsCountedAsLost(CapturedOutput output) {
        batches(json("{}").withFixedDelay(60_000));
        ServiceDelegation delegation = service.delegation(
                "proxy.external-service.feedback.urgent-flush-interval=5s",
                "proxy.external-service.feedback.shutdown-timeout=200ms");
        Answer answer = ask(delegation.answers());
        IntStream.range(0, 10).forEach(i -> connection(delegation.answers(), answer, REFUSED));
        delegation.close();
        assertThat(service.feedback).containsOnly(org.assertj.core.api.Assertions.entry("dropped_shutdown", 30L));
        assertThat(output).contains("30 report(s) to the proxy service are lost");
    }

    @Test
    void theProxysUrlDoesNotTravelInTheClear() {
        ProxySettings settings = service.settings(
                "proxy.external-service.allow-insecure-http=true",
                "proxy.external-service.endpoints=http://service.example.org:"
                        + service.endpoint().port(),
                "proxy.external-service.feedback.urgent-flush-interval=50ms");
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
                delegation.answers().connectionTurnedOut(BINANCE, ask(delegation.answers()), REFUSED);
                await().atMost(PATIENCE).until(() -> !reports().isEmpty());
            }
        }
        assertThat(reports()).singleElement().satisfies(report -> {
            assertThat(report.get("proxy_url").isNull()).isTrue();
            assertThat(report.path("proxy_id").asText()).isEqualTo("id-10-1-2-3-1080");
        });
        assertThat(requests(BATCH).get(0).getBodyAsString()).doesNotContain("C4NARY");
    }

    @Test
    void feedbackThatIsSwitchedOffIsNotSent() {
        ServiceDelegation delegation = service.delegation("proxy.external-service.feedback.enabled=false");
        connection(delegation.answers(), ask(delegation.answers()), REFUSED);
        delegation.close(); // would send what waits
        assertThat(service.feedback).isEmpty();
        assertThat(requests(BATCH)).isEmpty();
    }

    @Test
    void aClientOfTheApplicationsOwnMayTakeFeedbackAndMayFail() {
        Queue<ProxyFeedbackBatch> told = new ConcurrentLinkedQueue<>();
        ServiceDelegation delegation = service.delegation(new ProxyServiceClient() {
            @Override
            public Mono<ProxyResponse> request(ProxyRequest request, String correlationId) {
                return Mono.just(new ProxyResponse("http://10.1.2.3:1", null, null, null, null));
            }

            @Override
            public boolean takesFeedback() {
                return true;
            }

            @Override
            public Mono<FeedbackResult> feedback(ProxyFeedbackBatch batch) {
                told.add(batch);
                if (told.size() == 1) {
                    throw new IllegalStateException("C4NARY");
                }
                if (told.size() == 2) {
                    return Mono.empty();
                }
                return Mono.just(FeedbackResult.accepted(batch.reports().size(), List.of()));
            }
        });
        delegation.answers().connectionTurnedOut(BINANCE, ask(delegation.answers()), REFUSED);
        awaitFeedback("accepted", 1);
        assertThat(told.stream().map(ProxyFeedbackBatch::batchId).distinct()).hasSize(1);
    }
}
