package io.egressproxy.service;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SpecVersion;
import com.networknt.schema.ValidationMessage;
import io.egressproxy.Blame;
import io.egressproxy.ConnectionStage;
import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.Outcome;
import io.egressproxy.settings.ExternalServiceSettings;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.yaml.snakeyaml.Yaml;

/** The wire models and the OpenAPI document say the same. */
@Tag("TR-2")
class ContractTests {
    private static final ExternalServiceSettings SETTINGS = new ServiceLab(0)
            .settings("proxy.external-service.endpoints=https://proxy-service.example.org")
            .externalService();
    private static final String REQUEST_PATH = "/paths/~1api~1v1~1proxy~1request/post";

    private final ObjectMapper json = new ObjectMapper();
    private final JsonNode document = document(json);

    private static JsonNode document(ObjectMapper json) {
        try {
            String yaml = Files.readString(Path.of("..", "docs", "openapi", "proxy-service.yaml"));
            Object parsed = new Yaml().load(yaml);
            return json.valueToTree(parsed);
        } catch (IOException unreadable) {
            throw new UncheckedIOException(unreadable);
        }
    }

    private Set<ValidationMessage> violations(String schema, JsonNode value) {
        ObjectNode one = json.createObjectNode();
        one.put("$ref", "#/components/schemas/" + schema);
        one.set("components", document.get("components"));
        return JsonSchemaFactory.getInstance(SpecVersion.VersionFlag.V202012)
                .getSchema(one)
                .validate(value);
    }

    private static ProxyRequest request(@Nullable String region, Map<String, Object> metadata) {
        return new ProxyRequest("binance-futures", "websocket", region, "feeds-1", metadata);
    }

    @Test
    void whatWeAskIsInTheContract() {
        for (ProxyRequest request : List.of(
                request(null, Map.of()),
                request(
                        "us-east-1",
                        Map.of("feed_types", List.of("trades"), ProxyRequest.EXCLUDE, List.of("proxy-1"))))) {
            assertThat(violations("ProxyRequest", json.valueToTree(request))).isEmpty();
        }
        assertThat(violations("ProxyRequest", json.valueToTree(Map.of("exchange_id", "a b"))))
                .as("the check can fail")
                .isNotEmpty();
    }

    @Test
    void whatWeReportIsInTheContract() {
        Answer answer =
                new Answer(null, "http://u:p@h:1", "proxy-1", "correlation", FallbackPolicy.EMBEDDED_FALLBACK, 0, 1, 1);
        Outcome.Failed failed = new Outcome.Failed(ConnectionStage.TCP, Blame.PROXY, "x".repeat(1_000), null, true);
        List<ProxyFeedback> reports = Arrays.stream(ConnectionReport.Event.values())
                .map(event -> new ConnectionReport(
                        event,
                        ExchangeId.of("binance-futures"),
                        ConnectionType.WEBSOCKET,
                        answer,
                        event == ConnectionReport.Event.SUCCEEDED ? Duration.ofMillis(45) : null,
                        event == ConnectionReport.Event.FAILED ? failed : null,
                        0))
                .map(report -> report.wire("feeds-1", 5_000_000, Instant.now()))
                .toList();
        for (ProxyFeedback report : reports) {
            assertThat(violations("ProxyFeedback", json.valueToTree(report))).isEmpty();
            assertThat(violations("ProxyFeedback", json.valueToTree(report.plain())))
                    .isEmpty();
            assertThat(violations("ProxyFeedback", json.valueToTree(report.withoutUrl())))
                    .isEmpty();
        }
        assertThat(violations(
                        "ProxyFeedbackBatch", json.valueToTree(new ProxyFeedbackBatch("batch", "feeds-1", reports))))
                .isEmpty();
        assertThat(violations("ProxyFeedbackBatch", json.valueToTree(new ProxyFeedbackBatch("", "", List.of()))))
                .as("the check can fail")
                .isNotEmpty();
    }

    @TestFactory
    Stream<DynamicTest> everyExampleOfFeedbackIsWhatWeWouldSend() {
        return examples("/paths/~1api~1v1~1proxy~1feedback/post/requestBody/content/application~1json/examples")
                .map(example -> DynamicTest.dynamicTest(example.toString(), () -> {
                    JsonNode sent =
                            json.readTree(json.writeValueAsString(json.treeToValue(example, ProxyFeedback.class)));
                    assertThat(sent).isEqualTo(example);
                    assertThat(violations("ProxyFeedback", example)).isEmpty();
                }));
    }

    private Stream<JsonNode> examples(String pointer) {
        return StreamSupport.stream(document.at(pointer).spliterator(), false).map(example -> example.get("value"));
    }

    @TestFactory
    Stream<DynamicTest> everyExampleOfAnAnswerIsInTheContractAndIsUnderstood() {
        AnswerValidator validator = new AnswerValidator(SETTINGS, () -> 0.5);
        return examples(REQUEST_PATH + "/responses/200/content/application~1json/examples")
                .map(example -> DynamicTest.dynamicTest(example.toString(), () -> {
                    assertThat(violations("ProxyResponse", example)).isEmpty();
                    ProxyResponse response = json.treeToValue(example, ProxyResponse.class);
                    assertThatCode(() -> validator.validated(response, "", 0)).doesNotThrowAnyException();
                    assertThat(violations("ProxyResponse", json.valueToTree(response)))
                            .as("and back")
                            .isEmpty();
                }));
    }

    @TestFactory
    Stream<DynamicTest> everyExampleOfARequestIsWhatWeWouldSend() {
        return examples(REQUEST_PATH + "/requestBody/content/application~1json/examples")
                .map(example -> DynamicTest.dynamicTest(example.toString(), () -> {
                    ProxyRequest request = json.treeToValue(example, ProxyRequest.class);
                    JsonNode sent = json.valueToTree(request);
                    assertThat(sent).isEqualTo(example);
                }));
    }

    @Test
    void whatTheContractForbidsWeRefuse() throws JsonProcessingException {
        AnswerValidator validator = new AnswerValidator(SETTINGS, () -> 0.5);
        for (String wrong : List.of(
                "{}",
                "{\"proxy_url\": \"ftp://a:1\"}",
                "{\"proxy_url\": \"http://a\"}",
                "{\"proxy_url\": \"http://a:1/path\"}",
                "{\"proxy_url\": \"http://a:1\", \"ttl_seconds\": -1}")) {
            assertThat(violations("ProxyResponse", json.readTree(wrong)))
                    .as(wrong)
                    .isNotEmpty();
            ProxyResponse response = json.readValue(wrong, ProxyResponse.class);
            assertThatCode(() -> validator.validated(response, "", 0))
                    .as(wrong)
                    .isInstanceOf(ProxyServiceException.class);
        }
    }
}
