package io.egressproxy.sample;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.test.util.TestSocketUtils;

/** Each command of the documentation is run: those with curl here, against the sample; others by CI, or by a test that is named here. */
class DocumentedCommandsTests {

    private static final Pattern BLOCK = Pattern.compile("(<!-- ci:\\w+ -->\\n)?```(\\w*)\\n(.*?)```", Pattern.DOTALL);
    private static final List<String> LANGUAGES = List.of("yaml", "java", "json", "xml", "shell", "text");

    @TempDir
    private Path directory;

    private record Command(Path page, String line, boolean runByCi) {}

    private static List<Path> pages() {
        Path root = Path.of("..");
        try (Stream<Path> docs = Files.walk(root.resolve("docs"))) {
            return Stream.concat(
                            Stream.of("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
                                    .map(root::resolve),
                            docs.filter(page -> page.toString().endsWith(".md")))
                    .sorted()
                    .toList();
        } catch (IOException unreadable) {
            throw new UncheckedIOException(unreadable);
        }
    }

    private static List<Command> commands() throws IOException {
        List<Command> commands = new ArrayList<>();
        for (Path page : pages()) {
            BLOCK.matcher(Files.readString(page))
                    .results()
                    .filter(block -> block.group(2).equals("shell"))
                    .forEach(block -> block.group(3)
                            .lines()
                            .filter(line -> !line.isBlank())
                            .forEach(line -> commands.add(new Command(page, line, block.group(1) != null))));
        }
        return commands;
    }

    @Test
    void everyBlockIsOfAKindThatATestLooksAt() throws IOException {
        for (Path page : pages()) {
            assertThat(BLOCK.matcher(Files.readString(page)).results().map(block -> block.group(2)))
                    .as(page.toString())
                    .allSatisfy(language -> assertThat(language).isIn(LANGUAGES));
        }
    }

    @Test
    void everyCommandIsRunSomewhere() throws IOException {
        assertThat(commands()).allSatisfy(command -> assertThat(command)
                .as(command.line())
                .matches(known -> known.line().startsWith("curl ") // by this test
                        || known.line().startsWith("export ") // bound by DocumentationTests
                        || known.runByCi()));
    }

    @Test
    @Timeout(180)
    void everyCurlIsAnswered() throws IOException, InterruptedException {
        int port = TestSocketUtils.findAvailableTcpPort();
        List<Command> curls = commands().stream()
                .filter(command -> command.line().startsWith("curl "))
                .toList();
        assertThat(curls).hasSizeGreaterThan(10);
        List<String> arguments = new ArrayList<>(SamplePorts.arguments());
        arguments.add("--server.port=" + port);
        String prefix = "--sample.local-proxy-service.port=";
        String service = arguments.stream()
                .filter(argument -> argument.startsWith(prefix))
                .map(argument -> argument.substring(prefix.length()))
                .findFirst()
                .orElseThrow();
        try (SampleProcess sample = new SampleProcess(directory, arguments.toArray(String[]::new))) {
            await().atMost(Duration.ofSeconds(60))
                    .until(() -> sample.output().contains("kraken    websocket ok") || !sample.isAlive());
            for (Command command : curls) {
                String line = command.line()
                        .replace("localhost:8080", "localhost:" + port)
                        .replace("feeds-1:8080", "localhost:" + port)
                        .replace("localhost:19080", "localhost:" + service)
                        .replaceFirst("^curl ", "curl --fail --silent --show-error --max-time 20 ");
                Process curl = new ProcessBuilder("sh", "-c", line)
                        .redirectErrorStream(true)
                        .redirectOutput(directory.resolve("answer.txt").toFile())
                        .start();
                assertThat(curl.waitFor(30, TimeUnit.SECONDS)).isTrue();
                assertThat(curl.exitValue())
                        .as(command.page() + ": " + command.line())
                        .isZero();
            }
        }
    }
}
