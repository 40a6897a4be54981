package io.egressproxy.autoconfigure;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.context.annotation.Configuration;

/** What a user sees on the console when his settings are wrong. */
@ExtendWith(OutputCaptureExtension.class)
@Tag("FR-4")
class StartupFailureTests {
    private static final String CANARY = "C4NARY-startup";

    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class Application {}

    @TempDir
    private Path directory;

    private void start(String yaml) throws IOException {
        Path file = Files.writeString(directory.resolve("application.yml"), yaml);
        assertThatThrownBy(() -> new SpringApplicationBuilder(Application.class)
                        .web(WebApplicationType.NONE)
                        .run("--spring.config.location=file:" + file)
                        .close())
                .isNotNull();
    }

    @Test
    void everyProblemIsExplainedWithItsFileAndLine(CapturedOutput output) throws IOException {
        start(
                """
                proxy:
                  enabled: true
                  default:
                    http:
                      url: socks5://user:%s@proxy
                      timeout-secs: 30
                    websocket:
                      url: socks5://proxy:1080
                      timeout-seconds: 900
                """
                        .formatted(CANARY));
        assertThat(output)
                .contains("APPLICATION FAILED TO START")
                .contains("proxy.default.http.url")
                .contains("the proxy URL socks5://***@*** has no port; write one from 1 to 65535")
                .contains("application.yml] - 5:12")
                .contains("did you mean proxy.default.http.timeout-seconds?")
                .contains("application.yml] - 6:21")
                .doesNotContain(CANARY);
    }

    @Test
    void aBrokenRangeIsExplainedToo(CapturedOutput output) throws IOException {
        start("proxy: { default: { http: { url: \"http://u:" + CANARY + "@p:1\", timeout-seconds: 900 } } }");
        assertThat(output)
                .contains("APPLICATION FAILED TO START", "must be from 1 to 300, but is 900")
                .doesNotContain(CANARY);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "proxy: { default: { http: { timeout-seconds: \"" + CANARY + "\" } } }",
                "proxy: { default: { http: { pool: { url: \"http://u:" + CANARY + "@p:1\" } } } }",
                "proxy: { default: { http: { url: { password: \"" + CANARY + "\" } } } }",
                "proxy: { external-service: { auth-credentials: \"" + CANARY + "\" } }",
                "proxy: { enabled: \"" + CANARY + "\" }",
                "proxy: { default: \"http://u:" + CANARY + "@p:1\" }"
            })
    void noPasswordIsShownWhereverItStands(String yaml, CapturedOutput output) throws IOException {
        start(yaml);
        assertThat(output).contains("APPLICATION FAILED TO START").doesNotContain(CANARY);
    }
}
