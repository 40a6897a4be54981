package io.egressproxy.settings;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.lang.reflect.RecordComponent;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * {@code docs/reference.md} is made of what IDEs are told: the configuration metadata. {@code -Dreference.write=true} writes it anew; otherwise it
 * must be what would be written.
 */
class ReferenceTests {
    private static final Path PAGE = Path.of("..", "docs", "reference.md");
    private static final Path SOURCES = Path.of("src", "main", "java", "io", "egressproxy", "settings");
    private static final String ENTRY = "proxy.default.http.";
    private static final String TWIN = "proxy.default.websocket.";

    private record Key(String name, String type, String defaultValue, String meaning) {
        String row() {
            return "| `%s` | %s | %s | %s |"
                    .formatted(name, type, defaultValue.isEmpty() ? "" : "`" + defaultValue + "`", meaning);
        }
    }

    private static List<Key> metadata() throws IOException {
        JsonNode root = new ObjectMapper()
                .readTree(Path.of("target", "classes", "META-INF", "spring-configuration-metadata.json")
                        .toFile());
        List<Key> keys = new ArrayList<>();
        for (JsonNode property : root.get("properties")) {
            if (!property.has("deprecated")) {
                keys.add(new Key(
                        property.get("name").asText(),
                        type(property.get("type").asText()),
                        text(property.path("defaultValue")),
                        sentence(property.path("description").asText())));
            }
        }
        return keys;
    }

    private static String text(JsonNode value) {
        List<String> texts = new ArrayList<>();
        if (value.isArray()) {
            value.forEach(element -> texts.add(element.asText()));
        } else if (!value.isMissingNode()) {
            texts.add(value.asText());
        }
        return String.join(", ", texts);
    }

    private static String type(String java) {
        String simple = java.substring(java.lastIndexOf('.') + 1).replaceAll("^.*\\$", "");
        boolean list = java.startsWith("java.util.List");
        return switch (simple.replace(">", "")) {
            case "Boolean", "boolean" -> "true or false";
            case "Integer", "int" -> "whole number";
            case "Double", "double" -> "number";
            case "Duration" -> "duration";
            case "DataSize" -> "size";
            case "ProxyUrl" -> "URL of a proxy";
            case "PoolMember" -> "list of [proxies](#a-proxy-of-a-pool)";
            case "ExchangeSettings" -> "by id, an [exchange](#an-exchange)";
            case "HostPattern" -> "list of host patterns";
            case "Map" -> "anything";
            case "DirectFallback" -> choices(DirectFallback.values());
            case "OnExhausted" -> choices(OnExhausted.values());
            case "UnmatchedHosts" -> choices(UnmatchedHosts.values());
            case "AuthMethod" -> choices(ExternalServiceSettings.AuthMethod.values());
            case "Access" -> "`none`, `read_only`, `unrestricted`";
            case "ProxyEntry" -> "an [entry](#an-entry)";
            case "String" -> list ? "list" : "text";
            default -> throw new AssertionError("say what a user is to call a " + java);
        };
    }

    private static String choices(Enum<?>[] values) {
        return Arrays.stream(values)
                .map(value -> "`" + value.name().toLowerCase(Locale.ROOT) + "`")
                .collect(Collectors.joining(", "));
    }

    private static String sentence(String text) {
        assertThat(text).as("a description").endsWith(".");
        return text.substring(0, text.length() - 1).replace("|", "\\|");
    }

    /** What stands under a map or in a list has no metadata; its record has the same to say. */
    private static List<Key> components(Class<? extends Record> type) throws IOException {
        String source = Files.readString(SOURCES.resolve(type.getSimpleName() + ".java"));
        List<Key> keys = new ArrayList<>();
        for (RecordComponent component : type.getRecordComponents()) {
            Matcher description = Pattern.compile(
                            "@param " + component.getName() + " (.*?)(?=\\n \\* @param|\\n \\*/)", Pattern.DOTALL)
                    .matcher(source);
            assertThat(description.find()).as(component.getName()).isTrue();
            String java = component
                    .getGenericType()
                    .getTypeName()
                    .replaceAll("<.*\\.", "<java.")
                    .replaceAll("^java.util.Map.*", "java.util.Map");
            keys.add(new Key(
                    kebab(component.getName()),
                    type(
                            java.startsWith("java.util.List")
                                    ? component.getGenericType().getTypeName()
                                    : java),
                    defaultOf(type, component.getName()),
                    sentence(description.group(1).replaceAll("\\n \\*\\s+", " "))));
        }
        return keys;
    }

    private static String defaultOf(Class<? extends Record> type, String component) {
        return Arrays.stream(type.getDeclaredConstructors()[0].getParameters())
                .filter(parameter -> parameter.getName().equals(component))
                .map(parameter -> parameter.getAnnotation(DefaultValue.class))
                .filter(Objects::nonNull)
                .map(value -> String.join(", ", value.value()))
                .findFirst()
                .orElse("");
    }

    private static String kebab(String name) {
        return name.replaceAll("([A-Z])", "-$1").toLowerCase(Locale.ROOT);
    }

    private static String page() throws IOException {
        List<Key> all = metadata();
        List<Key> general = new ArrayList<>();
        List<Key> entry = new ArrayList<>();
        List<Key> service = new ArrayList<>();
        List<Key> actuator = new ArrayList<>();
        for (Key key : all) {
            String name = key.name();
            if (name.startsWith(ENTRY)) {
                entry.add(new Key(name.substring(ENTRY.length()), key.type(), key.defaultValue(), key.meaning()));
            } else if (name.startsWith("proxy.external-service.")) {
                service.add(key);
            } else if (name.startsWith("management.")) {
                actuator.add(key);
            } else if (!name.startsWith(TWIN)) {
                general.add(key);
            }
        }
        general.add(new Key(
                "proxy.default.http",
                "an [entry](#an-entry)",
                "",
                "What exchanges without an entry of their own use for HTTP and REST"));
        general.add(new Key(
                "proxy.default.websocket",
                "an [entry](#an-entry)",
                "",
                "What exchanges without an entry of their own use for WebSockets"));
        return """
                # Reference

                Every key, as your IDE shows it. Made of the configuration metadata by a test, which fails where this page says something else; what the keys do
                together stands in [Configuration](configuration.md), [Pools](pools.md) and [An external proxy service](delegation.md).

                A duration is a whole number of seconds, or such as `500ms`, `30s` or `5m`. A list is a YAML list, or text with commas. A host pattern is a host,
                `.suffix`, `*.glob` or CIDR. Each key may be written in snake_case, and as an environment variable: `PROXY_DEFAULT__HTTP__TIMEOUT_SECONDS`.

                """
                + table("General", null, general)
                + table(
                        "An entry",
                        "Under `proxy.default.http`, `proxy.default.websocket`, and the same two of each exchange.",
                        entry)
                + table("A proxy of a pool", "An element of `pool`; a URL alone will do.", components(PoolMember.class))
                + table(
                        "An exchange",
                        "Under `proxy.exchanges.<id>`. An id with a dot stands in brackets and quotes: `\"[bit.com]\"`.",
                        components(ExchangeSettings.class))
                + table("The proxy service", null, service)
                + table("Actuator", null, actuator);
    }

    private static String table(String title, @Nullable String introduction, List<Key> keys) {
        return "## " + title + "\n\n" + (introduction == null ? "" : introduction + "\n\n")
                + "| key | takes | default | meaning |\n|---|---|---|---|\n"
                + keys.stream()
                        .sorted(java.util.Comparator.comparing(Key::name))
                        .map(Key::row)
                        .collect(Collectors.joining("\n"))
                + "\n\n";
    }

    @Test
    void theReferenceSaysWhatTheMetadataSays() throws IOException {
        String expected = page().strip() + "\n";
        if (Boolean.getBoolean("reference.write")) {
            Files.writeString(PAGE, expected);
        }
        assertThat(PAGE).hasContent(expected);
    }

    @Test
    void bothConnectionTypesTakeTheSame() throws IOException {
        List<Key> http =
                metadata().stream().filter(key -> key.name().startsWith(ENTRY)).toList();
        List<String> websocket = metadata().stream()
                .map(Key::name)
                .filter(name -> name.startsWith(TWIN))
                .map(name -> name.substring(TWIN.length()))
                .toList();
        assertThat(http).extracting(key -> key.name().substring(ENTRY.length())).containsExactlyElementsOf(websocket);
    }
}
