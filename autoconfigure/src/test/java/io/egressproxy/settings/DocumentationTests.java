package io.egressproxy.settings;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.ProxyUrl;
import java.io.IOException;
import java.io.StringReader;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.tools.Diagnostic;
import javax.tools.DiagnosticCollector;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.springframework.boot.json.JsonParserFactory;
import org.w3c.dom.Document;
import org.w3c.dom.NodeList;
import org.xml.sax.InputSource;

/** The documentation's examples are settings that work. */
class DocumentationTests {
    private static final Pattern BLOCK = Pattern.compile("```(yaml|shell|java|json|xml)\\n(.*?)```", Pattern.DOTALL);
    private static final Pattern EXPORT = Pattern.compile("(?m)^export (\\w+)=[\"']?(.*?)[\"']?$");

    private record Example(Path page, String language, String text) {}

    private static List<Example> examples() {
        Path root = Path.of("..");
        try (Stream<Path> docs = Files.walk(root.resolve("docs"))) {
            return Stream.concat(Stream.of(root.resolve("README.md")), docs)
                    .filter(page -> page.toString().endsWith(".md"))
                    .sorted()
                    .flatMap(page -> blocks(page).stream())
                    .toList();
        } catch (IOException unreadable) {
            throw new UncheckedIOException(unreadable);
        }
    }

    private static List<Example> blocks(Path page) {
        try {
            return BLOCK.matcher(Files.readString(page))
                    .results()
                    .map(block -> new Example(page, block.group(1), block.group(2)))
                    .toList();
        } catch (IOException unreadable) {
            throw new UncheckedIOException(unreadable);
        }
    }

    @TestFactory
    Stream<DynamicTest> everyYamlExampleBinds() {
        return examples().stream()
                .filter(example -> example.language().equals("yaml"))
                .filter(example -> !example.text().startsWith("rule_files:")) // for Prometheus, which reads it in CI
                .map(example -> DynamicTest.dynamicTest(
                        example.page() + ": "
                                + example.text().lines().findFirst().orElse(""),
                        () -> assertThatCode(() -> Yaml.bind(example.text())).doesNotThrowAnyException()));
    }

    @TestFactory
    Stream<DynamicTest> theExamplesOfEnvironmentVariablesBind() {
        return examples().stream()
                .filter(example -> EXPORT.matcher(example.text()).find())
                .map(example -> DynamicTest.dynamicTest(example.page().toString(), () -> {
                    Map<String, Object> variables = EXPORT.matcher(example.text())
                            .results()
                            .collect(Collectors.toMap(export -> export.group(1), export -> export.group(2)));
                    assertThat(variables).hasSize(4);
                    ProxySettings settings = Yaml.bind("", variables);
                    assertThat(settings.enabled()).isTrue();
                    assertThat(settings.exchanges()).isNotEmpty();
                    assertThat(settings).isNotEqualTo(Yaml.bind("proxy: {enabled: true}"));
                }));
    }

    @Test
    void theSymptomsThatAreExplainedAreMessagesThatThereAre() throws IOException {
        StringBuilder sources = new StringBuilder();
        try (Stream<Path> files = Files.walk(Path.of("src", "main", "java"))) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                sources.append(Files.readString(file).replaceAll("\"\\s*\\+\\s*\"", ""));
            }
        }
        List<String> messages = Pattern.compile("(?m)^\\| ([^|]*) \\|")
                .matcher(Files.readString(Path.of("..", "docs", "troubleshooting.md")))
                .results()
                .flatMap(row ->
                        Pattern.compile("\"([^\"]+)\"").matcher(row.group(1)).results())
                .map(message -> message.group(1).replaceAll(" with \\d+$", " with "))
                .toList();
        assertThat(messages).hasSizeGreaterThan(12).allSatisfy(message -> assertThat(sources)
                .contains(message));
    }

    /** Reads the table of the page, and does with the JSON what it says. */
    @Test
    void theSettingsOfCcxtBecomeWhatTheTableSays() throws IOException {
        Path page = Path.of("..", "docs", "migration.md");
        String section = Files.readString(page).split("## From ccxt")[1].split("\n## ")[0];
        Map<String, String> table = Pattern.compile("(?m)^\\| (`.*?) \\| `(\\w+)\\.url` \\|$")
                .matcher(section)
                .results()
                .flatMap(row -> Pattern.compile("`(\\w+)`")
                        .matcher(row.group(1))
                        .results()
                        .map(key -> Map.entry(key.group(1), row.group(2))))
                .collect(Collectors.toMap(Map.Entry::getKey, Map.Entry::getValue));
        assertThat(table).hasSize(6);
        List<Example> blocks = blocks(page).stream()
                .filter(example -> section.contains(example.text()))
                .toList();
        Map<String, Object> ccxt =
                JsonParserFactory.getJsonParser().parseMap(blocks.get(0).text());
        ExchangeSettings binance = Yaml.bind(blocks.get(1).text()).exchanges().get(ExchangeId.of("binance"));
        assertThat(ccxt).hasSize(2).allSatisfy((key, url) -> {
            ProxyEntry entry = binance.entry(
                    ConnectionType.valueOf(String.valueOf(table.get(key)).toUpperCase(Locale.ROOT)));
            assertThat(entry.url()).isEqualTo(ProxyUrl.parse(String.valueOf(url)));
        });
    }

    @Test
    void thePhasesOfAMigrationDoWhatTheySay() {
        List<ProxySettings> phases = examples().stream()
                .filter(example -> example.page().endsWith("migration.md")
                        && example.text().contains("external-service:"))
                .map(example -> Yaml.bind(example.text()))
                .toList();
        assertThat(phases).hasSize(4);
        assertThat(phases.get(0).externalService().enabled()).isFalse();
        assertThat(phases.get(1).externalService().rolloutPercent()).isEqualTo(10);
        assertThat(phases.get(2).externalService().rolloutPercent()).isEqualTo(100);
        assertThat(phases.get(2).externalService().fallbackToEmbedded()).isTrue();
        assertThat(phases.get(3).externalService().fallbackToEmbedded()).isFalse();
        assertThat(phases.get(3).directFallback()).isEqualTo(DirectFallback.NEVER);
    }

    @TestFactory
    Stream<DynamicTest> everyJavaExampleCompiles() {
        return examples().stream()
                .filter(example -> example.language().equals("java"))
                .filter(example -> !example.page().endsWith("clients.md") // which the sample's tests run
                        && !example.page().endsWith("delegation.md"))
                .map(example ->
                        DynamicTest.dynamicTest(example.page().toString(), () -> assertThat(compile(example.text()))
                                .isEmpty()));
    }

    private static List<String> compile(String example) throws IOException {
        String imports = Stream.of(
                        "io.egressproxy.*",
                        "io.egressproxy.settings.*",
                        "org.springframework.context.annotation.*",
                        "org.springframework.web.reactive.function.client.*",
                        "org.springframework.web.reactive.socket.client.*",
                        "reactor.core.publisher.Mono",
                        "reactor.netty.http.client.HttpClient")
                .map(name -> "import " + name + ";\n")
                .collect(Collectors.joining());
        JavaFileObject source =
                new SimpleJavaFileObject(URI.create("string:///Example.java"), JavaFileObject.Kind.SOURCE) {
                    @Override
                    public CharSequence getCharContent(boolean ignoreEncodingErrors) {
                        return imports + example;
                    }
                };
        DiagnosticCollector<JavaFileObject> problems = new DiagnosticCollector<>();
        List<String> options = List.of(
                "-proc:none", "-d", Files.createTempDirectory("examples").toString());
        ToolProvider.getSystemJavaCompiler()
                .getTask(null, null, problems, options, null, List.of(source))
                .call();
        return problems.getDiagnostics().stream()
                .filter(problem -> problem.getKind() == Diagnostic.Kind.ERROR)
                .map(Object::toString)
                .toList();
    }

    @TestFactory
    Stream<DynamicTest> everyJsonExampleIsJson() {
        return examples().stream()
                .filter(example -> example.language().equals("json"))
                .map(example -> DynamicTest.dynamicTest(example.page().toString(), () -> assertThat(
                                JsonParserFactory.getJsonParser().parseMap(example.text()))
                        .isNotEmpty()));
    }

    @TestFactory
    Stream<DynamicTest> everyDependencyInTheExamplesIsOneThatThereIs() {
        return examples().stream()
                .filter(example -> example.language().equals("xml"))
                .map(example -> DynamicTest.dynamicTest(example.page().toString(), () -> {
                    Document dependency = DocumentBuilderFactory.newInstance()
                            .newDocumentBuilder()
                            .parse(new InputSource(new StringReader(example.text())));
                    String artifact = dependency
                            .getElementsByTagName("artifactId")
                            .item(0)
                            .getTextContent();
                    String poms = Files.readString(Path.of("..", "pom.xml"))
                            + Files.readString(Path.of("..", "starter", "pom.xml"))
                            + Files.readString(Path.of("..", "sample-app", "pom.xml"));
                    assertThat(poms).contains("<artifactId>" + artifact + "</artifactId>");
                    NodeList version = dependency.getElementsByTagName("version");
                    if (version.getLength() > 0) {
                        assertThat(poms).contains("<version>" + version.item(0).getTextContent() + "</version>");
                    }
                }));
    }

    @Test
    void thereAreExamples() {
        assertThat(examples()).hasSizeGreaterThan(8);
    }
}
