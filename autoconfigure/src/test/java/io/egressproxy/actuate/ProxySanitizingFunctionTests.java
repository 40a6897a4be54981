package io.egressproxy.actuate;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.springframework.boot.actuate.endpoint.SanitizableData;

@Tag("NFR-4")
class ProxySanitizingFunctionTests {
    private static Object shown(String key, Object value) {
        return String.valueOf(new ProxySanitizingFunction()
                .apply(new SanitizableData(null, key, value))
                .getValue());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '~',
            value = {
                "proxy.default.http.url | socks5://user:C4NARY@host:1",
                "proxy.default.http.url | user:C4NARY@host:1",
                "proxy.default.http.pool[0].url | http://C4NARY@host:1",
                "PROXY_DEFAULT_HTTP_URL | http://u:C4N/ARY@x@host:1",
                "CRYPTOFEED_PROXY_EXCHANGES__BINANCE__HTTP__URL | http://u:C4NARY@host:1",
                "cryptofeed_proxy_default__http__url | u:C4NARY@host:1",
                "CRYPTOFEED_PROXY_DEFAULT__HTTP__POOL | [\"http://u:C4NARY@a:1\", \"http://u:C4NARY@b:1\"]",
                "proxy.external-service.auth-credentials.token | C4NARY",
                "proxy.externalService.authCredentials.apiKey | C4NARY",
                "PROXY_EXTERNALSERVICE_AUTHCREDENTIALS_APIKEY | C4NARY",
                "CRYPTOFEED_PROXY_EXTERNAL_SERVICE__AUTH_CREDENTIALS__TOKEN | C4NARY",
                "CRYPTOFEED_PROXY_EXTERNAL_SERVICE__AUTH_CREDENTIALS | {\"token\": \"C4NARY\"}",
                "proxy.exchanges.binance.metadata.plan | C4NARY",
                "SPRING_APPLICATION_JSON | {\"proxy\": {\"default\": {\"http\": {\"url\": \"http://u:C4NARY@h:1\"}}}, \"other\": \"x\"}",
                "SPRING_APPLICATION_JSON | {\"proxy\": {\"external-service\": {\"auth-credentials\": {\"token\": \"C4NARY\"}}}}",
                "SPRING_APPLICATION_JSON | {\"proxy.exchanges.a.metadata.plan\": \"C4NARY\"}",
                "sun.java.command | app.jar --proxy.default.http.url=http://u:C4NARY@h:1 --other",
                "sun.java.command | app.jar --proxy.external-service.auth-credentials.token=C4NARY",
                "sun.java.command | app.jar --proxy.exchanges.a.metadata.plan=C4NARY",
                "JAVA_TOOL_OPTIONS | -Dproxy.default.http.url=http://u:C4NARY@h:1",
                "http.proxyPassword | C4NARY",
                "https.proxyPassword | C4NARY",
            })
    void whatMayHoldCredentialsIsMaskedAsAWhole(String key, String value) {
        assertThat(shown(key, value)).isEqualTo("******");
    }

    @ParameterizedTest
    @CsvSource({
        "proxy.default.http.url, http://host:1",
        "proxy.enabled, true",
        "proxy.default.http.strategy, random",
        "proxy.exchanges.tokenlon.http.url, http://host:1",
        "proxy.exchanges.token.http.url, http://host:1",
        "spring.datasource.url, jdbc:postgresql://host/db?user=a@b",
        "some.mail, someone@example.org",
        "some.text, the proxy takes a token.",
        "http.proxyHost, proxy.example.org",
    })
    void whatHoldsNoneStaysAsItIs(String key, String value) {
        assertThat(shown(key, value)).isEqualTo(value);
    }
}
