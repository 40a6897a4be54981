package io.egressproxy.settings;

import static org.assertj.core.api.Assertions.assertThat;

import io.egressproxy.settings.SettingsSchema.KnownKey;
import io.egressproxy.settings.SettingsSchema.ObjectNode;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.springframework.boot.json.JsonParserFactory;

/** What an IDE shows about {@code proxy.*}. */
class ConfigurationMetadataTests {
    private final Map<String, Object> metadata = read();

    private static Map<String, Object> read() {
        try (InputStream json = Objects.requireNonNull(
                ConfigurationMetadataTests.class.getResourceAsStream("/META-INF/spring-configuration-metadata.json"))) {
            return JsonParserFactory.getJsonParser().parseMap(new String(json.readAllBytes(), StandardCharsets.UTF_8));
        } catch (IOException unreadable) {
            throw new IllegalStateException(unreadable);
        }
    }

    private Map<String, Map<String, Object>> entries(String kind) {
        return ((List<?>) Objects.requireNonNull(metadata.get(kind)))
                .stream()
                        .map(ConfigurationMetadataTests::entry)
                        .filter(entry -> !String.valueOf(entry.get("name")).startsWith("management."))
                        .collect(Collectors.toMap(entry -> String.valueOf(entry.get("name")), Function.identity()));
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> entry(Object json) {
        return (Map<String, Object>) json;
    }

    private static List<String> keys(String path, ObjectNode object) {
        List<String> keys = new ArrayList<>();
        for (KnownKey key : object.keys().values()) {
            String name = path + "." + key.name();
            if (key.node() instanceof ObjectNode below) {
                keys.addAll(keys(name, below));
            } else {
                keys.add(name);
            }
        }
        return keys;
    }

    @Test
    void everyKeyHasADescription() {
        Map<String, Map<String, Object>> properties = entries("properties");
        assertThat(properties.keySet()).containsExactlyInAnyOrderElementsOf(keys("proxy", SettingsSchema.ROOT));
        assertThat(properties).allSatisfy((name, property) -> assertThat(String.valueOf(property.get("description")))
                .as(name)
                .endsWith(".")
                .doesNotStartWith("The ")
                .doesNotContain("{@"));
    }

    @Test
    void everyKeyThatHasADefaultShowsIt() {
        Map<String, Map<String, Object>> properties = entries("properties");
        assertThat(properties.get("proxy.enabled")).containsEntry("defaultValue", false);
        assertThat(properties.get("proxy.default.http.timeout-seconds")).containsEntry("defaultValue", 30);
        assertThat(properties.get("proxy.default.websocket.strategy")).containsEntry("defaultValue", "round_robin");
        assertThat(properties.get("proxy.direct-fallback")).containsEntry("defaultValue", "when_directed");
        assertThat(properties.get("proxy.external-service.fallback-after")).containsEntry("defaultValue", "800ms");
        List<String> without = properties.entrySet().stream()
                .filter(entry -> !entry.getValue().containsKey("defaultValue"))
                .map(Map.Entry::getKey)
                .filter(name -> !name.startsWith("proxy.default.websocket"))
                .sorted()
                .toList();
        assertThat(without)
                .as("what has no default")
                .containsExactly(
                        "proxy.default.http.health-check.enabled",
                        "proxy.default.http.health-check.url",
                        "proxy.default.http.pool",
                        "proxy.default.http.pool-enabled",
                        "proxy.default.http.ssl-bundle",
                        "proxy.default.http.url",
                        "proxy.exchanges",
                        "proxy.external-service.allowed-proxy-hosts",
                        "proxy.external-service.auth-credentials.api-key",
                        "proxy.external-service.auth-credentials.token",
                        "proxy.external-service.cache.warm-up",
                        "proxy.external-service.discovery.srv-name",
                        "proxy.external-service.endpoints",
                        "proxy.external-service.ssl-bundle");
    }

    @Test
    void freeTextKeysHaveHints() {
        assertThat(entries("hints").keySet())
                .contains(
                        "proxy.exchanges.keys",
                        "proxy.default.http.url",
                        "proxy.default.http.strategy",
                        "proxy.default.http.health-check.method",
                        "proxy.no-proxy");
    }
}
