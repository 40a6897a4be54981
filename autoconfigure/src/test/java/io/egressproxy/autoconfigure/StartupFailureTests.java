package io.egressproxy.autoconfigure;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
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
                .as("also what has the right type and is wrong")
                .contains("proxy.default.websocket.timeout-seconds", "must be from 1 to 300, but is 900")
                .contains("application.yml] - 9:24")
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

    private static String single(String entry) {
        return "enabled: true, default: { http: { " + entry + " } }";
    }

    /** The list of validations in the configuration contract, in its order. */
    static Stream<Arguments> mistakes() {
        String secret = "u:" + CANARY;
        return Stream.of(
                arguments(
                        single("url: \"ftp://" + secret + "@h:1\""),
                        "proxy.default.http.url",
                        "has a scheme that is not supported; use http, https, socks4, socks4a"),
                arguments(single("url: \"h:1\""), "proxy.default.http.url", "has no scheme; write"),
                arguments(single("url: \"http://" + secret + "@:1\""), "proxy.default.http.url", "has no host"),
                arguments(
                        single("url: \"http://" + secret + "@h\""),
                        "proxy.default.http.url",
                        "has no port; write one from 1 to 65535"),
                arguments(
                        single("url: \"http://" + secret + "@h:0\""),
                        "proxy.default.http.url",
                        "has a port that is not a number from 1 to 65535"),
                arguments(
                        single("url: \"http://" + secret + "@h:1/path\""),
                        "proxy.default.http.url",
                        "has a path, a query or a fragment"),
                arguments(
                        single("url: \"http://u%zz:" + CANARY + "@h:1\""),
                        "proxy.default.http.url",
                        "write a percent sign as %25"),
                arguments(
                        single("url: \"http://" + secret + "@2001:db8::1:1\""),
                        "proxy.default.http.url",
                        "write an IPv6 address in brackets"),
                arguments(
                        single("url: \"http://" + secret + "%0D@h:1\""),
                        "proxy.default.http.url",
                        "has a line break or another control character"),
                arguments(
                        single("url: \"http://" + secret + "@h:1\", timeout-seconds: 301"),
                        "proxy.default.http.timeout-seconds",
                        "must be from 1 to 300, but is 301"),
                arguments(
                        single("pool: [{ url: \"http://" + secret + "@h:1\", weight: 11 }]"),
                        "proxy.default.http.pool[0].weight",
                        "must be from 0.1 to 10, but is 11"),
                arguments(
                        "enabled: true, external-service: { enabled: true, auth-credentials: { token: " + CANARY
                                + " } }",
                        "proxy.external-service.endpoints",
                        "write its URLs, or discovery.srv-name"),
                arguments(
                        single("url: \"http://" + secret + "@h:1\", pool: [{ url: \"http://q:1\" }]"),
                        "proxy.default.http",
                        "say with pool-enabled: true or false which is used"),
                arguments(
                        single("pool: [{ url: \"http://" + secret + "@h:1\" }, { url: \"http://u:2@h:1\" }]"),
                        "proxy.default.http.pool[1].url",
                        "is the same proxy as an earlier one of this pool"),
                arguments(
                        single("pool: [{ url: \"http://" + secret + "@h:1\" }], health-check: { timeout: 31 }"),
                        "proxy.default.http.health-check.timeout",
                        "must not be longer than the interval"),
                arguments(
                        single("url: \"socks5://\u00fc:" + CANARY + "@h:1\""),
                        "proxy.default.http.url",
                        "has a user name or password that SOCKS cannot carry"),
                arguments(
                        single("url: \"socks5://u:" + CANARY + "x".repeat(256) + "@h:1\""),
                        "proxy.default.http.url",
                        "has a user name or password that SOCKS cannot carry"),
                arguments(
                        single("pool: [{ url: \"http://" + secret + "@h:1\" }], max-attempts: 17"),
                        "proxy.default.http.max-attempts",
                        "must be from 1 to 16, but is 17"),
                arguments(
                        single("pool: [{ url: \"http://" + secret
                                + "@h:1\" }], health-check: { healthy-threshold: 0 }"),
                        "proxy.default.http.health-check.healthy-threshold",
                        "must be from 1 to 100, but is 0"),
                arguments(
                        single("pool: [{ url: \"http://" + secret + "@h:1\" }], circuit-breaker: { open-for: 0 }"),
                        "proxy.default.http.circuit-breaker.open-for",
                        "must be longer than zero"),
                arguments(
                        "enabled: true, external-service: { cache-ttl-seconds: 10 }",
                        "proxy.external-service.cache-ttl-seconds",
                        "must be from 60 to 3600, but is 10"),
                arguments(
                        "enabled: true, external-service: { rollout-percent: 101 }",
                        "proxy.external-service.rollout-percent",
                        "must be from 0 to 100, but is 101"),
                arguments(
                        "enabled: true, external-service: { feedback: { batch-size: 300 } }",
                        "proxy.external-service.feedback.batch-size",
                        "must be from 1 to 256, but is 300"),
                arguments(
                        "enabled: true, external-service: { retry: { jitter: 2 } }",
                        "proxy.external-service.retry.jitter",
                        "must be from 0 to 1, but is 2"),
                arguments(
                        "enabled: true, reload: { quiet-period: 0 }",
                        "proxy.reload.quiet-period",
                        "must be longer than zero"),
                arguments(
                        "enabled: true, exchanges: { a: { require-proxy: true, http: { direct: true } } }",
                        "proxy.exchanges.a.require-proxy",
                        "is true together with http.direct"),
                arguments(
                        "enabled: true, exchanges: { BINANCE: { region: x }, binance: { region: y } }",
                        "proxy.exchanges.binance",
                        "is the same exchange as 'BINANCE'"),
                arguments(
                        single("url: \"http://${NOT_SET_" + CANARY.replace("-", "_") + "}@h:1\""),
                        "proxy.default.http.url",
                        "holds a placeholder that nothing resolves"),
                arguments(
                        "enabled: true, defualt: { http: { url: \"http://" + secret + "@h:1\" } }",
                        "proxy.defualt",
                        "did you mean proxy.default?"));
    }

    @ParameterizedTest
    @MethodSource("mistakes")
    void eachMistakeIsShownWithItsPlaceAndWhatToWrite(
            String tree, String property, String message, CapturedOutput output) throws IOException {
        start("proxy: { " + tree + " }");
        assertThat(output)
                .contains("APPLICATION FAILED TO START")
                .contains(property)
                .contains(message)
                .contains("application.yml] - 1:")
                .contains("Correct the properties named above")
                .doesNotContain(CANARY);
    }

    /** These are found when what they name is looked for. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "pool: [{ url: http://p:1 }], strategy: fastest | proxy.default.http.strategy | there is no strategy 'fastest'",
                "pool: [{ url: http://p:1 }], health-check: { method: guess } | proxy.default.http.health-check.method | is 'guess', and there is no such check",
                "url: https://p:1, ssl-bundle: missing | proxy.default.http.ssl-bundle | names the SSL bundle 'missing', which does not exist",
            })
    void whatIsNamedAndDoesNotExistIsExplained(String entry, String property, String message, CapturedOutput output)
            throws IOException {
        start("proxy: { " + single(entry) + " }");
        assertThat(output)
                .contains("APPLICATION FAILED TO START")
                .contains(property)
                .contains(message)
                .contains("application.yml] - 1:");
    }

    @Test
    void allThatIsNamedAndDoesNotExistIsExplainedAtOnce(CapturedOutput output) throws IOException {
        start(
                """
                proxy:
                  enabled: true
                  default:
                    http:
                      strategy: fastest
                      health-check: { method: guess }
                      pool: [ { url: "https://user:%s@p:1" } ]
                  exchanges:
                    binance:
                      websocket:
                        strategy: slowest
                        ssl-bundle: missing
                        pool: [ { url: "https://user:%s@p:1" } ]
                  external-service:
                    enabled: true
                    endpoints: [ "https://service.example.org" ]
                    ssl-bundle: gone
                """
                        .formatted(CANARY, CANARY));
        assertThat(output)
                .contains("there is no strategy 'fastest'", "application.yml] - 5:17")
                .contains("is 'guess', and there is no such check", "application.yml] - 6:31")
                .contains("there is no strategy 'slowest'", "application.yml] - 11:19")
                .contains("names the SSL bundle 'missing'", "application.yml] - 12:21")
                .contains("names the SSL bundle 'gone'", "application.yml] - 17:17")
                .doesNotContain(CANARY);
    }

    @Test
    void aPasswordInThePlaceOfANameIsNotShown(CapturedOutput output) throws IOException {
        String url = "\"http://u:" + CANARY + "@p:1\"";
        start("proxy: { enabled: true, default: { http: { pool: [{ url: " + url + ", ssl-bundle: " + url
                + " }], strategy: " + url + ", health-check: { method: " + url + " } } } }");
        assertThat(output)
                .contains("there is no strategy '***'", "is '***', and there is no such check", "SSL bundle '***'")
                .contains("proxy.default.http.pool[0].ssl-bundle")
                .doesNotContain(CANARY);
    }

    @Test
    void aNumberForAUrlAndAnIdWithADotAreExplainedWithTheirPlace(CapturedOutput output) throws IOException {
        start("proxy:\n  exchanges:\n    \"[a.b]\":\n      http:\n        strategy: fastest\n"
                + "        pool: [ { url: \"http://p:1\" } ]\n  enabled: true\n");
        assertThat(output).contains("proxy.exchanges.[a.b].http.strategy", "application.yml] - 5:19");
        start("proxy: { default: { http: { url: 1080 } } }");
        assertThat(output).contains("is not usable: ", "application.yml] - 1:34");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "proxy:\n  default:\n    http:\n      url: \"http://u:" + CANARY + "@h:1\n",
                "proxy:\n  default:\n    http:\n      url: \"http://u:" + CANARY + "@h:1\"\n      url: \"http://u:"
                        + CANARY + "@h:1\"\n",
                "proxy:\n  default:\n    http:\n      url: %" + CANARY + "\n",
                "proxy: { default: { http: { url: \"http://u:" + CANARY + "@h:1\" }"
            })
    void aBrokenFileIsExplainedByItsPlaceAndNotQuoted(String yaml, CapturedOutput output) throws IOException {
        start(yaml);
        assertThat(output)
                .contains("APPLICATION FAILED TO START")
                .contains("a YAML file is broken at line ")
                .doesNotContain(CANARY);
    }
}
