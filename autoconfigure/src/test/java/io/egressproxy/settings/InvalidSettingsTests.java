package io.egressproxy.settings;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.egressproxy.ConnectionType;
import io.egressproxy.ProxyUrl;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Each rule of the configuration contract: the property that is named, and what is said about it. */
@Tag("FR-4")
class InvalidSettingsTests {
    private static final String CANARY = "C4NARY-settings";

    private record Rule(String yaml, String property, String message) {}

    private static Rule entry(String yaml, String property, String message) {
        return new Rule("proxy: { default: { http: { " + yaml + " } } }", "proxy.default.http" + property, message);
    }

    private static Rule member(String yaml, String property, String message) {
        return entry("pool: [{ url: \"http://p:1\"" + yaml + " }]", property, message);
    }

    private static Rule service(String yaml, String property, String message) {
        return new Rule("proxy: { external-service: { " + yaml + " } }", "proxy.external-service." + property, message);
    }

    private static Stream<Rule> rules() {
        return Stream.of(
                entry("url: \"ftp://p:1\"", ".url", "use http, https, socks4, socks4a or socks5"),
                entry("url: \"http://p\"", ".url", "has no port"),
                entry("url: \"http://p:1\", timeout-seconds: 0", ".timeout-seconds", "must be from 1 to 300, but is 0"),
                entry("url: \"http://p:1\", timeout-seconds: 301", ".timeout-seconds", "but is 301"),
                entry("url: \"http://p:1\", timeout-seconds: 30s", ".timeout-seconds", "must be a whole number"),
                entry("url: \"http://p:1\", direct: perhaps", ".direct", "must be true or false"),
                entry("url: \"http://p:1\", direct: true", ".direct", "remove the proxy or direct"),
                entry("url: \"http://p:1\", pool: [{ url: \"http://q:1\" }]", "", "say with pool-enabled"),
                entry("pool: []", ".pool", "the default needs at least one"),
                entry("pool: [{ url: \"http://p:1\", enabled: false }]", ".pool", "no enabled proxy"),
                entry("pool: [{ weight: 1 }]", ".pool[0].url", "is missing"),
                entry("pool: [{ url: \"http://u:1@p:1\" }, { url: \"http://u:2@p:1\" }]", ".pool[1].url", "same proxy"),
                member(", weight: 0.05", ".pool[0].weight", "must be from 0.1 to 10, but is 0.05"),
                member(", weight: 11", ".pool[0].weight", "must be from 0.1 to 10"),
                member(", weight: heavy", ".pool[0].weight", "must be a number"),
                member(", timeout-seconds: 400", ".pool[0].timeout-seconds", "must be from 1 to 300"),
                member(", health-check-timeout: 31s", ".pool[0].health-check-timeout", "not be longer than"),
                member(", health-check-timeout: 0", ".pool[0].health-check-timeout", "longer than zero"),
                entry("strategy: \" \"", ".strategy", "must not be empty"),
                entry("max-attempts: 0", ".max-attempts", "must be from 1 to 16"),
                entry("attempt-timeout: 0", ".attempt-timeout", "longer than zero"),
                entry("attempt-timeout: 301", ".attempt-timeout", "at most 300s"),
                entry("on-exhausted: cry", ".on-exhausted", "must be one of last_resort, default, fail"),
                entry("health-check: { method: http }", ".health-check.url", "is missing"),
                entry("health-check: { url: \"ftp://x\" }", ".health-check.url", "must be an http or https URL"),
                entry("health-check: { expected-status: ok }", ".health-check.expected-status", "such as 200"),
                entry("health-check: { interval: 0 }", ".health-check.interval", "longer than zero"),
                entry("health-check: { interval: often }", ".health-check.interval", "must be a duration"),
                entry("health-check: { timeout: 31 }", ".health-check.timeout", "not be longer than the interval"),
                entry("health-check: { healthy-threshold: 0 }", ".health-check.healthy-threshold", "from 1 to 100"),
                entry("health-check: { unhealthy-threshold: 0 }", ".health-check.unhealthy-threshold", "from 1 to"),
                entry("circuit-breaker: { failure-threshold: 0 }", ".circuit-breaker.failure-threshold", "from 1"),
                entry("circuit-breaker: { open-for: 0 }", ".circuit-breaker.open-for", "longer than zero"),
                entry("circuit-breaker: { max-open-for: 1s }", ".circuit-breaker.max-open-for", "shorter than"),
                entry(
                        "circuit-breaker: { max-ejected-percent: 101 }",
                        ".circuit-breaker.max-ejected-percent",
                        "0 to 100"),
                service("enabled: true", "endpoints", "write its URLs, or discovery.srv-name"),
                service("endpoints: [\"proxy-service:80\"]", "endpoints[0]", "must be an http or https URL"),
                service("endpoints: [\"http://service:80\"]", "endpoints[0]", "set allow-insecure-http: true"),
                service("endpoints: [\"https://u:p@service:80\"]", "endpoints[0]", "write them under auth-credentials"),
                service("auth-method: password", "auth-method", "bearer_token, api_key, mutual_tls"),
                service(
                        "enabled: true, endpoints: [\"https://s\"], auth-method: mutual_tls",
                        "ssl-bundle",
                        "name the SSL bundle"),
                service("timeout-seconds: 61", "timeout-seconds", "must be from 1 to 60"),
                service("fallback-after: 0", "fallback-after", "longer than zero"),
                service("cache-ttl-seconds: 59", "cache-ttl-seconds", "must be from 60 to 3600"),
                service("min-ttl-seconds: 3601", "min-ttl-seconds", "must be from 0 to 3600"),
                service("rollout-percent: 101", "rollout-percent", "must be from 0 to 100"),
                service("discovery: { refresh-interval: 0 }", "discovery.refresh-interval", "longer than zero"),
                service("cache: { max-entries: 0 }", "cache.max-entries", "must be from 1"),
                service("cache: { stale-if-error: -1s }", "cache.stale-if-error", "must not be negative"),
                service("retry: { max-attempts: 0 }", "retry.max-attempts", "must be from 1"),
                service("retry: { initial-backoff: 0 }", "retry.initial-backoff", "longer than zero"),
                service("retry: { max-backoff: 1ms }", "retry.max-backoff", "shorter than initial-backoff"),
                service("retry: { multiplier: 0.5 }", "retry.multiplier", "at least 1"),
                service("retry: { jitter: 2 }", "retry.jitter", "from 0 to 1"),
                service("health-check: { path: health }", "health-check.path", "must start with '/'"),
                service("health-check: { interval: 0 }", "health-check.interval", "longer than zero"),
                service("health-check: { timeout: 2s }", "health-check.timeout", "not be longer"),
                service("feedback: { queue-capacity: 0 }", "feedback.queue-capacity", "must be from 1"),
                service("feedback: { batch-size: 0 }", "feedback.batch-size", "must be from 1"),
                service("feedback: { flush-interval: 0 }", "feedback.flush-interval", "longer than zero"),
                service("feedback: { urgent-flush-interval: 0 }", "feedback.urgent-flush-interval", "longer"),
                service("feedback: { compress-above: big }", "feedback.compress-above", "must be a size"),
                service("feedback: { max-age: 0 }", "feedback.max-age", "longer than zero"),
                service("feedback: { shutdown-timeout: -1s }", "feedback.shutdown-timeout", "must not be negative"),
                service("allowed-proxy-hosts: [\"http://x\"]", "allowed-proxy-hosts[0]", "no address before it"),
                new Rule("proxy: { enabled: perhaps }", "proxy.enabled", "must be true or false"),
                new Rule("proxy: { direct-fallback: maybe }", "proxy.direct-fallback", "when_directed, always, never"),
                new Rule("proxy: { no-proxy: [\"h:80\"] }", "proxy.no-proxy[0]", "without scheme, port or path"),
                new Rule("proxy: { reload: { quiet-period: 0 } }", "proxy.reload.quiet-period", "longer than zero"),
                new Rule(
                        "proxy: { exchanges: { default: { region: x } } }",
                        "proxy.exchanges.default",
                        "is a reserved id"),
                new Rule(
                        "proxy: { exchanges: { \"[a/b]\": { region: x } } }",
                        "proxy.exchanges.***",
                        "1 to 64 letters, digits"),
                new Rule(
                        "proxy: { exchanges: { BINANCE: { region: x }, binance: { region: y } } }",
                        "proxy.exchanges.binance",
                        "is the same exchange as 'BINANCE'"),
                new Rule(
                        "proxy: { exchanges: { a: { hosts: [x.org] }, b: { hosts: [X.org] } } }",
                        "proxy.exchanges.b.hosts",
                        "as exchange 'a' does"),
                new Rule(
                        "proxy: { exchanges: { a: { require-proxy: true, http: { direct: true } } } }",
                        "proxy.exchanges.a.require-proxy",
                        "together with http.direct"));
    }

    private static Stream<Rule> unknownKeys() {
        return Stream.of(
                new Rule("proxy: { enabeld: true }", "proxy.enabeld", "did you mean proxy.enabled?"),
                new Rule("proxy: { defaults: { http: { url: x } } }", "proxy.defaults", "did you mean proxy.default?"),
                new Rule(
                        "proxy: { default: { htp: { url: x } } }",
                        "proxy.default.htp",
                        "did you mean proxy.default.http?"),
                entry("timeout_secs: 5", ".timeout_secs", "did you mean proxy.default.http.timeout-seconds?"),
                entry("health-check: { intervall: 5 }", ".health-check.intervall", "health-check.interval?"),
                entry("pool: { members: [] }", ".pool.members", "is a list"),
                member(", wieght: 2", ".pool[0].wieght", "did you mean proxy.default.http.pool[0].weight?"),
                entry("url: { host: h }", ".url.host", "is a value"),
                entry("url: { host_name: h }", ".url.host_name", "is a value"),
                entry("url: { \"us:er@h\": h }", ".url.***", "is a value"),
                service("tokens: x", "tokens", "is not a known key"),
                entry("time-out: 5", ".time-out", "did you mean proxy.default.http.timeout-seconds?"),
                entry("proxy-url: x", ".proxy-url", "did you mean proxy.default.http.url?"),
                new Rule("proxy: \"http://p:1\"", "proxy", "has a value, but needs keys: enabled"),
                new Rule("proxy: [ { enabled: true } ]", "proxy.0", "is not a known key"),
                service("endpoints: [\"https://s/?token=x\"]", "endpoints[0]", "must not hold a query"),
                service(
                        "auth-credentials: { token: \"${NOT_SET}\" }",
                        "auth-credentials.token",
                        "holds a placeholder that nothing resolves"),
                entry("health-check: { url: \"https://u:p@h/\" }", ".health-check.url", "must not hold credentials"),
                new Rule(
                        "proxy: { exchanges: { BIT.COM: { http: { url: \"http://p:1\" } } } }",
                        "proxy.exchanges[BIT].com",
                        "stands in brackets and quotes: \"[bit.com]\""),
                new Rule("proxy: { global: { http: x } }", "proxy.global", "use enabled, direct-fallback"),
                new Rule("proxy: { default: \"http://p:1\" }", "proxy.default", "needs keys: http, websocket"),
                new Rule("proxy: { exchanges: { okx: \"http://p:1\" } }", "proxy.exchanges[okx]", "needs keys: hosts"),
                new Rule("proxy: { exchanges: binance }", "proxy.exchanges", "needs the ids of exchanges"),
                new Rule(
                        "proxy: { default: { http: { url: \"http://a:1\" }, rest: { url: \"http://b:1\" } } }",
                        "proxy.default.http.url",
                        "is set twice"));
    }

    @TestFactory
    Stream<DynamicTest> aBrokenRuleIsNamedWithItsPropertyItsPlaceAndWhatToWrite() {
        return Stream.concat(rules(), unknownKeys())
                .map(rule -> DynamicTest.dynamicTest(rule.yaml(), () -> {
                    List<SettingsProblem> problems = problems(rule.yaml(), Map.of());
                    assertThat(problems).singleElement().satisfies(problem -> {
                        assertThat(problem.property()).isEqualTo(rule.property());
                        assertThat(problem.message()).contains(rule.message());
                        assertThat(problem.origin()).contains("application.yml");
                    });
                }));
    }

    @Test
    void everyProblemIsReportedAtOnce() {
        List<SettingsProblem> problems = problems(
                """
                proxy:
                  enabld: true
                  default:
                    http:
                      url: nonsense
                      timeout-seconds: soon
                    websocket:
                      url: http://p
                """,
                Map.of());
        assertThat(problems)
                .extracting(SettingsProblem::property)
                .containsExactlyInAnyOrder(
                        "proxy.enabld",
                        "proxy.default.http.url",
                        "proxy.default.http.timeout-seconds",
                        "proxy.default.websocket.url");
        assertThat(problems)
                .allSatisfy(problem -> assertThat(problem.origin()).containsPattern("application.yml\\] - \\d+:\\d+"));
    }

    @Test
    void aTranslatedShapeKeepsItsPlace() {
        List<SettingsProblem> problems = problems(
                "proxy:\n  default:\n    rest: http://p\n    ws:\n      pool:\n        proxies: [nonsense]\n",
                Map.of());
        assertThat(problems.get(0).origin()).endsWith("3:11");
        assertThat(problems.get(1).origin()).contains("6:");
        assertThat(problems.get(1).property()).isEqualTo("proxy.default.websocket.pool[0].url");
    }

    @Test
    void aVariableIsNamed() {
        assertThat(problems("", Map.of("CRYPTOFEED_PROXY_DEFAULT__HTTP__URL", "u:" + CANARY)))
                .singleElement()
                .satisfies(problem -> assertThat(problem.origin())
                        .isEqualTo("environment variable CRYPTOFEED_PROXY_DEFAULT__HTTP__URL"));
    }

    @TestFactory
    Stream<DynamicTest> noProblemShowsAValueThatMayBeASecret() {
        return Stream.of(
                        "url: \"socks5://user:" + CANARY + "\"",
                        "url: \"user:" + CANARY + "@host:1\"",
                        "url: \"http://user:" + CANARY + "%@host:1\"",
                        "timeout-seconds: " + CANARY,
                        "direct: " + CANARY,
                        "on-exhausted: " + CANARY,
                        "attempt-timeout: " + CANARY,
                        "\"user:" + CANARY + "@host\": 1",
                        "pool: [{ url: \"http://u:" + CANARY + "@h:1\" }, { url: \"http://u:" + CANARY + "@h:1\" }]",
                        "health-check: { url: \"x " + CANARY + "\" }",
                        "url: \"socks5://u:" + CANARY + "@${proxy.default.http.url}:1\"",
                        "pool: \"{" + CANARY + ": }\"")
                .map(yaml -> DynamicTest.dynamicTest(yaml, () -> {
                    InvalidProxySettingsException failure =
                            failure("proxy: { default: { http: { " + yaml + " } } }", Map.of());
                    assertThat(failure).hasNoCause();
                    assertThat(failure.toString()).doesNotContainIgnoringCase(CANARY);
                }));
    }

    @Test
    void settingsInCodeAreHeldToTheSameRules() {
        ProxySettings.Builder builder = ProxySettings.builder()
                .exchange("a", exchange -> exchange.requireProxy().proxy(ConnectionType.HTTP, ProxyEntry.directly()))
                .defaultProxy(ConnectionType.HTTP, ProxyEntry.of(ProxyUrl.parse("http://p:1"), 301));
        InvalidProxySettingsException failure =
                catchThrowableOfType(InvalidProxySettingsException.class, builder::build);
        assertThat(failure.problems())
                .extracting(SettingsProblem::property)
                .containsExactly("proxy.default.http.timeout-seconds", "proxy.exchanges.a.require-proxy");
    }

    private static List<SettingsProblem> problems(String yaml, Map<String, Object> variables) {
        return failure(yaml, variables).problems();
    }

    private static InvalidProxySettingsException failure(String yaml, Map<String, Object> variables) {
        return catchThrowableOfType(InvalidProxySettingsException.class, () -> Yaml.bind(yaml, variables));
    }
}
