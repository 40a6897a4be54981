package io.egressproxy.settings;

import static org.assertj.core.api.Assertions.assertThat;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.ProxyUrl;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.Banner;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.env.ConfigTreePropertySource;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.core.env.MapPropertySource;
import org.springframework.core.env.StandardEnvironment;
import org.springframework.util.unit.DataSize;

@ExtendWith(OutputCaptureExtension.class)
@Tag("FR-4")
@Tag("TR-4")
@Tag("smoke")
class ProxySettingsBinderTests {

    private static ExchangeSettings exchange(ProxySettings settings, String id) {
        return Objects.requireNonNull(settings.exchanges().get(ExchangeId.of(id)), id);
    }

    private static @Nullable String url(@Nullable ProxyEntry entry) {
        return entry == null || entry.url() == null ? null : entry.url().toString();
    }

    private static List<String> urls(@Nullable ProxyEntry entry) {
        return Objects.requireNonNull(Objects.requireNonNull(entry).pool()).stream()
                .map(member -> member.url().toString())
                .toList();
    }

    @Test
    void nothingAtAllIsTheDefaults() {
        ProxySettings settings = Yaml.bind("");
        assertThat(settings.enabled()).isFalse();
        assertThat(settings.directFallback()).isEqualTo(DirectFallback.WHEN_DIRECTED);
        assertThat(settings.unmatchedHosts()).isEqualTo(UnmatchedHosts.DEFAULT);
        assertThat(settings.noProxy()).hasToString("[localhost, 127.0.0.0/8, ::1]");
        assertThat(settings.transparent()).isTrue();
        assertThat(settings.defaults()).isEqualTo(ConnectionProxies.NONE);
        assertThat(settings.exchanges()).isEmpty();
        assertThat(settings.externalService()).isEqualTo(ExternalServiceSettings.DISABLED);
        assertThat(settings.reload()).isEqualTo(ReloadSettings.DEFAULTS);
        assertThat(settings).isEqualTo(ProxySettings.builder().enabled(false).build());
    }

    /** Nothing of the tree is bound where nothing is set; what has to be bound must come to the same. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "proxy.enabled: false",
                "proxy: {enabled: }",
                "proxy: {enabled: 'false', transparent: true}",
                "proxy: {transparent: true, no-proxy: 'localhost, 127.0.0.0/8, ::1'}"
            })
    void whatSaysNoMoreThanTheDefaultsIsTheDefaults(String yaml) {
        ProxySettings settings = Yaml.bind(yaml);
        assertThat(settings).isEqualTo(Yaml.bind(""));
        assertThat(settings.noProxy())
                .satisfiesExactly(
                        name -> assertThat(name.matches("LOCALHOST")).isTrue(),
                        network -> assertThat(List.of("127.0.0.0", "127.255.255.255"))
                                .allMatch(network::matches)
                                .noneMatch(address -> network.isExact()),
                        address -> assertThat(address.matches("[0:0::1]") && address.isExact())
                                .isTrue())
                .allSatisfy(pattern -> assertThat(
                                List.of("126.255.255.255", "128.0.0.0", "::2", "::", "::7f00:0", "localhos"))
                        .noneMatch(pattern::matches));
    }

    @Test
    void theSpecificationsSingleProxiesBindUnchanged() {
        ProxySettings settings = Yaml.bind(
                """
                proxy:
                  enabled: true
                  default:
                    http:
                      url: "socks5://proxy.company.com:1080"
                      timeout_seconds: 30
                    websocket:
                      url: "socks5://proxy.company.com:1081"
                      timeout_seconds: 30
                  exchanges:
                    binance:
                      http:
                        url: "http://binance-proxy.company.com:8080"
                        timeout_seconds: 15
                      websocket:
                        url: "socks5://binance-ws.company.com:1081"
                    coinbase:
                      # Only HTTP proxy for Coinbase
                      http:
                        url: "socks5://coinbase-proxy:1080"
                exchanges:
                  binance:
                    symbols: ["BTC-USDT"]
                    channels: [TRADES]
                """);
        assertThat(settings.enabled()).isTrue();
        assertThat(url(settings.defaults().websocket())).isEqualTo("socks5://proxy.company.com:1081");
        ProxyEntry http = Objects.requireNonNull(exchange(settings, "binance").http());
        assertThat(url(http)).isEqualTo("http://binance-proxy.company.com:8080");
        assertThat(http.timeoutSeconds()).isEqualTo(15);
        assertThat(exchange(settings, "coinbase").websocket()).isNull();
    }

    @Test
    void theSpecificationsPoolsBindUnchanged() {
        ProxySettings settings = Yaml.bind(
                """
                proxy:
                  enabled: true
                  default:
                    http:
                      pool:
                        - url: "socks5://proxy1:1080"
                        - url: "socks5://proxy2:1080"
                        - url: "socks5://proxy3:1080"
                      strategy: "round_robin"
                      health_check:
                        enabled: true
                        interval: 30
                  exchanges:
                    binance:
                      http:
                        pool:
                          - url: "http://binance-proxy-1:8080"
                          - url: "http://binance-proxy-2:8080"
                        strategy: "least_connections"
                        health_check:
                          method: "http"
                          url: "http://httpbin.org/ip"
                          interval: 60
                    coinbase:
                      websocket:
                        pool:
                          - url: "socks5://coinbase-ws-1:1081"
                          - url: "socks5://coinbase-ws-2:1081"
                        strategy: "random"
                """);
        assertThat(urls(settings.defaults().http())).hasSize(3).first().isEqualTo("socks5://proxy1:1080");
        ProxyEntry binance =
                Objects.requireNonNull(exchange(settings, "binance").http());
        assertThat(binance.strategy()).isEqualTo("least_connections");
        assertThat(binance.healthCheck().interval()).isEqualTo(Duration.ofSeconds(60));
        assertThat(binance.healthCheck().url()).isEqualTo("http://httpbin.org/ip");
        assertThat(urls(exchange(settings, "coinbase").websocket())).hasSize(2);
    }

    @Test
    void theSpecificationsExternalServiceBindsUnchanged() {
        ProxySettings settings = Yaml.bind(
                """
                proxy:
                  enabled: true
                  external_service:
                    enabled: true
                    endpoints:
                      - "https://proxy-service-1:8080"
                      - "https://proxy-service-2:8080"
                    auth_method: "bearer_token"
                    auth_credentials:
                      token: "your-service-token"
                    timeout_seconds: 10
                    cache_ttl_seconds: 300
                    fallback_to_embedded: true
                  default:
                    http:
                      url: "socks5://fallback-proxy:1080"
                    websocket:
                      url: "socks5://fallback-proxy:1080"
                """);
        ExternalServiceSettings service = settings.externalService();
        assertThat(service.enabled()).isTrue();
        assertThat(service.endpoints()).containsExactly("https://proxy-service-1:8080", "https://proxy-service-2:8080");
        assertThat(service.authCredentials().token()).isEqualTo("your-service-token");
        assertThat(settings.toString()).doesNotContain("your-service-token");
    }

    @Test
    void theWholeTreeOfTheReferenceBinds() {
        ProxySettings settings = Yaml.bind(
                """
                proxy:
                  enabled: true
                  direct-fallback: never
                  unmatched-hosts: direct
                  no-proxy: [localhost, .internal, "*.corp", 10.0.0.0/8]
                  transparent: false
                  default:
                    http:
                      url: socks5://user:pass@proxy.company.com:1080
                      timeout-seconds: 30
                    websocket:
                      pool:
                        - url: socks5://proxy1:1081
                        - url: https://proxy2:8443
                          timeout-seconds: 10
                          weight: 2
                          enabled: true
                          health-check-timeout: 3s
                          ssl-bundle: corporate
                      pool-enabled: true
                      strategy: round_robin
                      max-attempts: 3
                      attempt-timeout: 5s
                      on-exhausted: last_resort
                      health-check:
                        enabled: true
                        method: http
                        url: https://health.example.org/
                        expected-status: 200-299
                        interval: 30
                        timeout: 5
                        healthy-threshold: 2
                        unhealthy-threshold: 3
                      circuit-breaker:
                        enabled: true
                        failure-threshold: 3
                        open-for: 5s
                        max-open-for: 5m
                        max-ejected-percent: 50
                  exchanges:
                    binance:
                      hosts: ["*.binance.com", "stream.binance.com"]
                      require-proxy: true
                      region: us-east-1
                      metadata: { feed_types: trades }
                      http: { url: "http://binance-proxy:8080" }
                    kraken:
                      http: { direct: true }
                  external-service:
                    enabled: false
                    endpoints: ["https://proxy-service-1:8080"]
                    discovery:
                      srv-name: _proxy-service._tcp.example.org
                      refresh-interval: 30s
                    auth-method: api_key
                    auth-credentials: { token: "t", api-key: "k" }
                    ssl-bundle: proxy-service
                    allow-insecure-http: false
                    client-id: ""
                    region: ""
                    timeout-seconds: 10
                    fallback-after: 800ms
                    fallback-to-embedded: true
                    cache-ttl-seconds: 300
                    min-ttl-seconds: 60
                    cache:
                      max-entries: 10000
                      refresh-ahead: true
                      stale-if-error: 0s
                      warm-up: [binance, coinbase]
                    circuit-breaker-enabled: true
                    retry: { max-attempts: 3, initial-backoff: 500ms, max-backoff: 30s, multiplier: 2, jitter: 1.0 }
                    health-check: { enabled: true, path: /health, interval: 1s, timeout: 1s }
                    allowed-proxy-hosts: []
                    feedback:
                      enabled: true
                      queue-capacity: 4096
                      batch-size: 256
                      flush-interval: 5s
                      urgent-flush-interval: 250ms
                      compress-above: 1KB
                      max-age: 5m
                      shutdown-timeout: 2s
                    rollout-percent: 100
                  reload:
                    watch: false
                    quiet-period: 2s
                """);
        assertThat(settings.directFallback()).isEqualTo(DirectFallback.NEVER);
        assertThat(settings.unmatchedHosts()).isEqualTo(UnmatchedHosts.DIRECT);
        assertThat(settings.noProxy()).hasSize(4);
        PoolMember second = Objects.requireNonNull(
                        Objects.requireNonNull(settings.defaults().websocket()).pool())
                .get(1);
        assertThat(second.weight()).isEqualTo(2);
        assertThat(second.healthCheckTimeout()).isEqualTo(Duration.ofSeconds(3));
        assertThat(second.sslBundle()).isEqualTo("corporate");
        ExchangeSettings binance = exchange(settings, "binance");
        assertThat(binance.hosts()).hasToString("[*.binance.com, stream.binance.com]");
        assertThat(binance.requireProxy()).isTrue();
        assertThat(binance.region()).isEqualTo("us-east-1");
        assertThat(binance.metadata()).containsEntry("feed_types", "trades");
        assertThat(Objects.requireNonNull(exchange(settings, "kraken").http()).direct())
                .isTrue();
        assertThat(settings.externalService().feedback().compressAbove()).isEqualTo(DataSize.ofKilobytes(1));
        assertThat(settings.externalService().authMethod()).isEqualTo(ExternalServiceSettings.AuthMethod.API_KEY);
        assertThat(settings.toString()).doesNotContain("pass@");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "http:",
                "http: null",
                "http: {}",
                "http: { url: null }",
                "http: { url: \"\" }",
                "http: { pool: null }",
                "http: { pool: [] }",
                "http: { pool: [{ url: \"http://p:1\", enabled: false }] }",
                "http: { timeout-seconds: 5 }",
                "rest: null"
            })
    void nothingAndEmptyAndNullInheritAndNeverMeanDirect(String entry) {
        ProxySettings settings = Yaml.bind(
                """
                proxy:
                  enabled: true
                  default: { http: { url: "socks5://proxy:1080" } }
                  exchanges:
                    binance:
                      hosts: api.binance.com
                      %s
                """
                        .formatted(entry));
        ProxyEntry http = exchange(settings, "binance").http();
        assertThat(http == null || http.inherits()).isTrue();
    }

    @Test
    void anEmptyExchangeAndAnEmptyDefaultAreNothing() {
        ProxySettings settings = Yaml.bind("proxy:\n  default:\n  exchanges:\n    kraken:\n");
        assertThat(settings.defaults()).isEqualTo(ConnectionProxies.NONE);
    }

    @Test
    void anEmptyNoProxyListIsEmptyAndNotTheDefault() {
        assertThat(Yaml.bind("proxy: { no-proxy: [] }").noProxy()).isEmpty();
    }

    @Test
    void olderShapesAreTranslated() {
        ProxySettings settings = Yaml.bind(
                """
                proxy:
                  default: { rest: "socks5://your-proxy:1080", ws: "socks5://your-proxy:1081" }
                  exchanges:
                    binance:
                      http: "http://b:1"
                      websocket:
                        pool:
                          strategy: least_connections
                          proxies:
                            - { url: "socks5://a:1080", weight: 1, enabled: true }
                            - "socks5://b:1080"
                    okx:
                      http: { pool: ["http://a:1", "http://b:2"] }
                      ws: { url: "socks5://c:3" }
                """);
        assertThat(url(settings.defaults().http())).isEqualTo("socks5://your-proxy:1080");
        assertThat(url(settings.defaults().websocket())).isEqualTo("socks5://your-proxy:1081");
        ExchangeSettings binance = exchange(settings, "binance");
        assertThat(url(binance.http())).isEqualTo("http://b:1");
        assertThat(urls(binance.websocket())).containsExactly("socks5://a:1080", "socks5://b:1080");
        assertThat(Objects.requireNonNull(binance.websocket()).strategy()).isEqualTo("least_connections");
        assertThat(urls(exchange(settings, "okx").http())).containsExactly("http://a:1", "http://b:2");
        assertThat(url(exchange(settings, "okx").websocket())).isEqualTo("socks5://c:3");
    }

    @ParameterizedTest
    @CsvSource({"30, 30", "500ms, 0", "2m, 120", "PT7S, 7"})
    void durationsWithoutAUnitAreSeconds(String written, long seconds) {
        ProxySettings settings = Yaml.bind("proxy: { reload: { quiet-period: " + written + " } }");
        assertThat(settings.reload().quietPeriod().toSeconds()).isEqualTo(seconds);
    }

    @Test
    void exchangeIdsAreKeptAsWrittenAndComparedByLettersAndDigits() {
        ProxySettings settings = Yaml.bind(
                """
                proxy:
                  exchanges:
                    BINANCE_FUTURES: { http: { url: "http://a:1" } }
                    "[BIT.COM]": { http: { url: "http://b:2" } }
                    krakenFutures: { http: { url: "http://c:3" } }
                """);
        assertThat(url(exchange(settings, "binance-futures").http())).isEqualTo("http://a:1");
        assertThat(url(exchange(settings, "bitcom").http())).isEqualTo("http://b:2");
        assertThat(settings.exchanges().keySet().toString()).isEqualTo("[BINANCE_FUTURES, BIT.COM, krakenFutures]");
    }

    @Test
    void springsOwnEnvironmentVariablesWork() {
        ProxySettings settings = Yaml.bind(
                "",
                Map.of(
                        "PROXY_ENABLED", "true",
                        "PROXY_DEFAULT_HTTP_URL", "socks5://proxy:1080",
                        "PROXY_DEFAULT_HTTP_TIMEOUT_SECONDS", "7",
                        "PROXY_EXCHANGES_BINANCE_HTTP_URL", "http://binance:8080",
                        "PROXY_EXCHANGES_BINANCE_US_HTTP_TIMEOUTSECONDS", "8",
                        "PROXY_EXCHANGES_BINANCE_US_HTTP_URL", "http://us:8080",
                        "PROXY_EXTERNAL_SERVICE_AUTH_CREDENTIALS_API_KEY", "key",
                        "PROXY_DEFAULT_WEBSOCKET_POOL", "socks5://a:1,socks5://b:2",
                        "PROXY_NO_PROXY", "localhost,.internal",
                        "PROXY_HOST", "somebody-elses"));
        assertThat(settings.enabled()).isTrue();
        ProxyEntry http = Objects.requireNonNull(settings.defaults().http());
        assertThat(url(http)).isEqualTo("socks5://proxy:1080");
        assertThat(http.timeoutSeconds()).isEqualTo(7);
        assertThat(url(exchange(settings, "binance").http())).isEqualTo("http://binance:8080");
        ProxyEntry us = Objects.requireNonNull(exchange(settings, "binance-us").http());
        assertThat(url(us)).isEqualTo("http://us:8080");
        assertThat(us.timeoutSeconds()).isEqualTo(8);
        assertThat(settings.externalService().authCredentials().apiKey()).isEqualTo("key");
        assertThat(urls(settings.defaults().websocket())).containsExactly("socks5://a:1", "socks5://b:2");
        assertThat(settings.noProxy()).hasSize(2);
    }

    @Test
    void theAncestorsEnvironmentVariablesWork(CapturedOutput output) {
        ProxySettings settings = Yaml.bind(
                "",
                Map.of(
                        "CRYPTOFEED_PROXY_ENABLED", "true",
                        "CRYPTOFEED_PROXY_DEFAULT__HTTP__URL", "socks5://proxy:1080",
                        "CRYPTOFEED_PROXY_DEFAULT__HTTP__TIMEOUT_SECONDS", "30",
                        "cryptofeed_proxy_default__websocket__url", "socks5://proxy:1081",
                        "CRYPTOFEED_PROXY_EXCHANGES__BINANCE_FUTURES__WEBSOCKET__URL", "socks5://user:pass@host:1080",
                        "CRYPTOFEED_PROXY_EXCHANGES__BINANCE__HTTP__POOL",
                                "{\"proxies\":[{\"url\":\"socks5://p1:1080\",\"weight\":1},{\"url\":\"socks5://p2:1080\"}],"
                                        + "\"strategy\":\"random\"}",
                        "CRYPTOFEED_PROXY_EXCHANGES__OKX__HTTP__POOL__PROXIES__0__URL", "socks5://p3:1080",
                        "CRYPTOFEED_PROXY_EXTERNAL_SERVICE__ENDPOINTS", "[\"https://a:1\", \"https://b:2\"]",
                        "CRYPTOFEED_PROXY_EXTERNAL_SERVICE__AUTH_CREDENTIALS__TOKEN", "secret-token",
                        "CRYPTOFEED_PROXY_DEFALT__HTTP__URL", "http://typo:1"));
        assertThat(settings.enabled()).isTrue();
        assertThat(Objects.requireNonNull(settings.defaults().http()).timeoutSeconds())
                .isEqualTo(30);
        assertThat(url(settings.defaults().websocket())).isEqualTo("socks5://proxy:1081");
        assertThat(url(exchange(settings, "binance_futures").websocket())).isEqualTo("socks5://***@host:1080");
        ProxyEntry pool = Objects.requireNonNull(exchange(settings, "binance").http());
        assertThat(urls(pool)).containsExactly("socks5://p1:1080", "socks5://p2:1080");
        assertThat(pool.strategy()).isEqualTo("random");
        assertThat(urls(exchange(settings, "okx").http())).containsExactly("socks5://p3:1080");
        assertThat(settings.externalService().endpoints()).containsExactly("https://a:1", "https://b:2");
        assertThat(settings.externalService().authCredentials().token()).isEqualTo("secret-token");
        assertThat(output)
                .contains("older environment variables", "CRYPTOFEED_PROXY_DEFAULT__HTTP__URL")
                .contains("mean no setting are ignored: CRYPTOFEED_PROXY_DEFALT__HTTP__URL")
                .doesNotContain("secret-token", "user:pass");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "CRYPTOFEED_PROXY_DEFAULT | {\"http\": {\"url\": \"http://x:1\", \"timeout_seconds\": 9}}",
                "CRYPTOFEED_PROXY_DEFAULT__HTTP | {\"url\": \"http://x:1\", \"timeout_seconds\": 9}",
                "PROXY_DEFAULT | {\"rest\": {\"url\": \"http://x:1\", \"timeout-seconds\": 9}, \"websocket\": null}"
            })
    void aJsonValueMayStandAtAnyLevel(String variable, String json) {
        ProxyEntry http = Objects.requireNonNull(
                Yaml.bind("", Map.of(variable, json)).defaults().http());
        assertThat(url(http)).isEqualTo("http://x:1");
        assertThat(http.timeoutSeconds()).isEqualTo(9);
    }

    @Test
    void aJsonMapOfExchangesKeepsTheirIds() {
        ProxySettings settings = Yaml.bind(
                "",
                Map.of(
                        "CRYPTOFEED_PROXY_EXCHANGES",
                        "{\"BIT.COM\": {\"http\": {\"url\": \"http://x:1\"}}, \"okx\": null}"));
        assertThat(url(exchange(settings, "BIT.COM").http())).isEqualTo("http://x:1");
    }

    @Test
    void theEnvironmentOverridesTheFilePropertyByProperty() {
        ProxySettings settings = Yaml.bind(
                """
                proxy:
                  enabled: true
                  exchanges:
                    binance-futures: { http: { url: "http://file:1", timeout-seconds: 5 } }
                """,
                Map.of("CRYPTOFEED_PROXY_EXCHANGES__BINANCE_FUTURES__HTTP__URL", "http://variable:2"));
        assertThat(settings.enabled()).isTrue();
        assertThat(settings.exchanges()).hasSize(1);
        ProxyEntry http =
                Objects.requireNonNull(exchange(settings, "binance-futures").http());
        assertThat(url(http)).isEqualTo("http://variable:2");
        assertThat(http.timeoutSeconds()).isEqualTo(5);
    }

    @Test
    void anOlderVariableRanksBelowSpringsVariableOfTheSameProperty() {
        ProxySettings settings = Yaml.bind(
                "proxy: { default: { http: { url: \"http://file:1\" } } }",
                Map.of(
                        "CRYPTOFEED_PROXY_DEFAULT__HTTP__URL", "http://older:2",
                        "PROXY_DEFAULT_HTTP_URL", "http://springs:3"));
        assertThat(url(settings.defaults().http())).isEqualTo("http://springs:3");
    }

    @Test
    void placeholdersAreResolved() {
        ProxySettings settings = Yaml.bind(
                "proxy: { default: { http: { url: \"socks5://u:${PASSWORD}@h:1\" } } }", Map.of("PASSWORD", "p%40ss"));
        ProxyUrl url = Objects.requireNonNull(
                Objects.requireNonNull(settings.defaults().entry(ConnectionType.HTTP))
                        .url());
        assertThat(Objects.requireNonNull(url.credentials()).password()).isEqualTo("p@ss");
    }

    @Test
    void enabledIsFoundByEveryName() {
        assertThat(ProxySettingsBinder.isEnabled(Yaml.environment("proxy: { enabled: true }", Map.of())))
                .isTrue();
        assertThat(ProxySettingsBinder.isEnabled(Yaml.environment("", Map.of("PROXY_ENABLED", "true"))))
                .isTrue();
        assertThat(ProxySettingsBinder.isEnabled(Yaml.environment("", Map.of("CRYPTOFEED_PROXY_ENABLED", "1"))))
                .isTrue();
        assertThat(ProxySettingsBinder.isEnabled(Yaml.environment("proxy.en-abled: true", Map.of())))
                .isTrue();
        assertThat(ProxySettingsBinder.isEnabled(Yaml.environment("", Map.of("PROXY_EN_ABLED", "true"))))
                .isEqualTo(ProxySettingsBinder.bind(Yaml.environment("", Map.of("PROXY_EN_ABLED", "true")))
                        .enabled());
        assertThat(ProxySettingsBinder.isEnabled(Yaml.environment("proxy: '{\"enabled\": true}'", Map.of())))
                .as("all of the tree as JSON")
                .isTrue();
        assertThat(ProxySettingsBinder.isEnabled(Yaml.environment("", Map.of())))
                .isFalse();
        assertThat(ProxySettingsBinder.isEnabled(Yaml.environment("proxy: { enabled: perhaps }", Map.of())))
                .isFalse();
    }

    @Test
    void anUnknownSystemPropertyIsSomebodyElses(CapturedOutput output) {
        StandardEnvironment environment = Yaml.environment("proxy: { enabled: true }", Map.of());
        environment
                .getPropertySources()
                .replace(
                        StandardEnvironment.SYSTEM_PROPERTIES_PROPERTY_SOURCE_NAME,
                        new MapPropertySource(
                                StandardEnvironment.SYSTEM_PROPERTIES_PROPERTY_SOURCE_NAME,
                                Map.of("proxy.host", "h", "proxy.transparent", "false")));
        ProxySettings settings = ProxySettingsBinder.bind(environment);
        assertThat(settings.transparent()).isFalse();
        assertThat(output).contains("Ignored system property: proxy.host");
    }

    @Test
    void aConfigTreeWorks(@TempDir Path tree) throws IOException {
        Files.writeString(tree.resolve("proxy.enabled"), "true");
        Files.writeString(tree.resolve("proxy.default.http.url"), "socks5://user:pass@h:1");
        StandardEnvironment environment = Yaml.environment("", Map.of());
        environment
                .getPropertySources()
                .addLast(new ConfigTreePropertySource(
                        "tree", tree, ConfigTreePropertySource.Option.AUTO_TRIM_TRAILING_NEW_LINE));
        ProxySettings settings = ProxySettingsBinder.bind(environment);
        assertThat(settings.enabled()).isTrue();
        assertThat(url(settings.defaults().http())).isEqualTo("socks5://***@h:1");
    }

    @ParameterizedTest
    @CsvSource({"myapp, MYAPP_", "my-app, MYAPP_", "my-app, MY_APP_", "my.app, MY_APP_"})
    void variablesBeginWithThePrefixThatTheApplicationHasSet(String prefix, String begin) {
        SpringApplication application = new SpringApplication(Object.class);
        application.setWebApplicationType(WebApplicationType.NONE);
        application.setBannerMode(Banner.Mode.OFF);
        application.setEnvironmentPrefix(prefix);
        application.setEnvironment(new StandardEnvironment() {
            @Override
            public Map<String, Object> getSystemEnvironment() {
                return Map.of(
                        begin + "PROXY_ENABLED",
                        "true",
                        begin + "PROXY_DEFAULT_HTTP_URL",
                        "http://ours:1",
                        "PROXY_DEFAULT_WEBSOCKET_URL",
                        "http://somebody-elses:1",
                        "CRYPTOFEED_PROXY_EXCHANGES__BINANCE__HTTP__URL",
                        "http://older:1");
            }
        });

        try (ConfigurableApplicationContext context = application.run()) {
            ProxySettings settings = ProxySettingsBinder.bind(context.getEnvironment());
            assertThat(ProxySettingsBinder.isEnabled(context.getEnvironment())).isTrue();
            assertThat(settings.enabled()).isTrue();
            assertThat(settings.defaults().http())
                    .satisfies(http -> assertThat(http.url()).hasToString("http://ours:1"));
            assertThat(settings.defaults().websocket()).isNull();
            assertThat(settings.exchanges()).containsOnlyKeys(ExchangeId.of("binance"));
        }
    }

    @Test
    void aVariableMayHaveTheNameOfTheProperty() {
        ProxySettings settings = Yaml.bind("", Map.of("proxy.enabled", "true", "proxy.default.http.url", "http://h:1"));
        assertThat(settings.enabled()).isTrue();
        assertThat(url(settings.defaults().http())).isEqualTo("http://h:1");
    }

    @ParameterizedTest
    @ValueSource(strings = {"PROXY_ENABLE", "PROXY_DEFAULT_HTTP_URLL"})
    void aVariableThatLooksLikeASettingAndIsNoneIsWarnedOf(String variable, CapturedOutput output) {
        Yaml.bind("", Map.of(variable, "x", "PROXY_HOST", "y"));
        assertThat(output).contains("mean no setting are ignored: " + variable).doesNotContain("PROXY_HOST");
    }

    @Test
    void metadataIsKeptAsItStandsListsAndAll() {
        ProxySettings settings = Yaml.bind(
                """
                proxy:
                  exchanges:
                    binance:
                      metadata: { feed_types: [trades, book], limits: { per-second: 5 } }
                """,
                Map.of("PROXY_EXCHANGES__OKX__METADATA", "{\"feed_types\": [\"trades\", \"book\"]}"));
        assertThat(exchange(settings, "binance").metadata())
                .isEqualTo(Map.of("feed_types", List.of("trades", "book"), "limits", Map.of("per-second", 5)));
        assertThat(exchange(settings, "okx").metadata()).isEqualTo(Map.of("feed_types", List.of("trades", "book")));
    }

    @Test
    void aNullDoesNotHideWhatAnotherSourceSays() {
        StandardEnvironment environment =
                Yaml.environment("proxy: { default: { http: { url: \"http://h:1\", ssl-bundle: b } } }", Map.of());
        environment
                .getPropertySources()
                .addFirst(new MapPropertySource(
                        "higher", Map.of("proxy.default.http.ssl-bundle", "", "proxy.default.http", "")));
        ProxyEntry http = Objects.requireNonNull(
                ProxySettingsBinder.bind(environment).defaults().http());
        assertThat(http.sslBundle()).isEqualTo("b");
        assertThat(url(http)).isEqualTo("http://h:1");
    }

    @Test
    void jsonNullInAVariableInherits() {
        assertThat(Yaml.bind("", Map.of("CRYPTOFEED_PROXY_DEFAULT__HTTP", "null"))
                        .defaults())
                .isEqualTo(ConnectionProxies.NONE);
    }
}
