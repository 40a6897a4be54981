package io.egressproxy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.egressproxy.ProxyUrl.Scheme;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Assume;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.StringLength;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

@Tag("FR-5")
class ProxyUrlTests {
    private static final String CANARY = "C4NARY";

    @ParameterizedTest
    @CsvSource({
        "http://proxy:8080, HTTP, proxy, 8080",
        "HTTPS://Proxy.Example.ORG:443, HTTPS, proxy.example.org, 443",
        "socks4://10.0.0.1:1080, SOCKS4, 10.0.0.1, 1080",
        "socks4a://proxy:1080, SOCKS4A, proxy, 1080",
        "socks5://proxy:1, SOCKS5, proxy, 1",
        "socks5h://proxy:65535, SOCKS5, proxy, 65535",
        "http://binance_proxy:8080, HTTP, binance_proxy, 8080",
        "http://proxy:8080/, HTTP, proxy, 8080",
        "socks5://[::1]:1080, SOCKS5, ::1, 1080",
        "socks5://[2001:DB8::1]:1080, SOCKS5, 2001:db8::1, 1080",
        "http://bücher.example:80, HTTP, xn--bcher-kva.example, 80",
        "http://proxy.example.org.:80, HTTP, proxy.example.org., 80"
    })
    void schemeHostAndPortAreRead(String text, Scheme scheme, String host, int port) {
        ProxyUrl url = ProxyUrl.parse(text);
        assertThat(url.scheme()).isEqualTo(scheme);
        assertThat(url.host()).isEqualTo(host);
        assertThat(url.port()).isEqualTo(port);
        assertThat(url.credentials()).isNull();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ' ',
            value = {
                "socks5://user:pass@h:1 user pass",
                "socks5://user:p@ss@h:1 user p@ss",
                "socks5://user:p:ss@h:1 user p:ss",
                "socks5://us%40er:p%3As%2Fs@h:1 us@er p:s/s",
                "http://user:%C3%B6l@h:1 user öl",
                "http://user:öl@h:1 user öl",
                "http://user:p%2525@h:1 user p%25",
                "http://user:a+b@h:1 user a+b"
            })
    void credentialsEndAtTheLastAtAndAreDecodedOnce(String text, String username, String password) {
        ProxyUrl.Credentials credentials =
                Objects.requireNonNull(ProxyUrl.parse(text).credentials());
        assertThat(credentials.username()).isEqualTo(username);
        assertThat(credentials.password()).isEqualTo(password);
    }

    @Test
    void aUserNameMayStandAlone() {
        ProxyUrl.Credentials credentials =
                Objects.requireNonNull(ProxyUrl.parse("socks4://feed@h:1").credentials());
        assertThat(credentials.username()).isEqualTo("feed");
        assertThat(credentials.password()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "proxy:1080 | has no scheme",
                "'' | has no scheme",
                "http:/proxy:1 | has no scheme",
                "://proxy:1 | has no valid scheme",
                "ws://proxy:1 | not supported; use http, https, socks4, socks4a or socks5",
                "socks://proxy:1 | not supported",
                "http://:8080 | has no host",
                "http://proxy | has no port",
                "http://proxy: | has no port",
                "http://[::1] | has no port",
                "http://proxy:0 | from 1 to 65535",
                "http://proxy:65536 | from 1 to 65535",
                "http://proxy:-1 | from 1 to 65535",
                "http://proxy:80a | from 1 to 65535",
                "http://::1:80 | IPv6 address in brackets",
                "http://[::1:80 | without ']'",
                "http://[::1%eth0]:80 | without a zone",
                "http://[proxy]:80 | no IPv6 address",
                "http://proxy:80/path | has a path",
                "http://proxy:80?q=1 | has a path, a query or a fragment",
                "http://proxy:80#f | has a path, a query or a fragment",
                "http://pro xy:80 | no valid name",
                "http://proxy..org:80 | no valid name",
                "http://-proxy:80 | no valid name",
                "http://256.1.1.1:80 | looks like an IPv4 address",
                "http://127.1:80 | looks like an IPv4 address",
                "http://0x7f000001:80 | looks like an IPv4 address",
                "http://2130706433:80 | looks like an IPv4 address",
                "http://${PROXY_HOST}:80 | placeholder",
                "http://@proxy:80 | no user name",
                "http://:pass@proxy:80 | no user name",
                "http://user:pa/ss@proxy:80 | write them as %2F, %3F or %23",
                "http://user:pa#ss@proxy:80 | write them as %2F, %3F or %23",
                "http://user:100%@proxy:80 | write a percent sign as %25",
                "http://user:%zz@proxy:80 | write a percent sign as %25",
                "http://user:%FF@proxy:80 | not UTF-8",
                "http://user:a%0Db@proxy:80 | control character",
                "http://user:a%00b@proxy:80 | control character",
                "http://us%3Aer:pass@proxy:80 | Basic authentication cannot carry",
                "socks4://user:pass@proxy:80 | user id only",
                "socks5://user:öl@proxy:80 | at most 255 ASCII characters"
            })
    void whatIsNoProxyUrlIsRefusedAndSaidHowToWriteIt(String text, String message) {
        assertThatThrownBy(() -> ProxyUrl.parse(text))
                .isInstanceOf(InvalidProxyUrlException.class)
                .hasMessageContaining(message);
    }

    @ParameterizedTest
    @ValueSource(strings = {"http://proxy:80\r\nX: y", "http://pro\nxy:80", "http://proxy:80\t", "\0http://proxy:80"})
    void controlCharactersAreRefused(String text) {
        assertThatThrownBy(() -> ProxyUrl.parse(text)).hasMessageContaining("control character");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "socks5://user:" + CANARY, // cut off by YAML at " #"
                "socks5://user:" + CANARY + "@",
                "socks5://user:" + CANARY + "@host",
                "socks5://user:" + CANARY + "/x@host:1",
                "socks5://user:x@" + CANARY,
                "user:" + CANARY + "@host:1080",
                CANARY + "://host:1080",
                "socks5://" + CANARY,
                "socks5://user:%zz" + CANARY + "@host:1080",
                "socks5://user:" + CANARY + "ö@host:1080",
                "socks5://${X}:" + CANARY + "@host:1080",
                "socks5://host:1080/" + CANARY
            })
    void noMessageShowsWhatMayBeAPassword(String text) {
        assertThat(catchThrowable(() -> ProxyUrl.parse(text)))
                .isInstanceOf(InvalidProxyUrlException.class)
                .hasNoCause()
                .message()
                .doesNotContainIgnoringCase(CANARY);
    }

    @Test
    void toStringMasksTheCredentials() {
        assertThat(ProxyUrl.parse("socks5://user:pass@Proxy:1080")).hasToString("socks5://***@proxy:1080");
        assertThat(ProxyUrl.parse("http://[::1]:80")).hasToString("http://[::1]:80");
        assertThat(ProxyUrl.parse("http://u:p@h:1").credentials()).hasToString("***");
    }

    @Test
    void equalityIsThatOfUse() {
        assertThat(ProxyUrl.parse("socks5h://u:p@H:1")).isEqualTo(ProxyUrl.parse("socks5://u:p@h:1"));
        assertThat(ProxyUrl.parse("socks5://u:p@h:1")).isNotEqualTo(ProxyUrl.parse("socks5://u:q@h:1"));
    }

    @Property
    void anyCredentialsSurvivePercentEncoding(
            @ForAll("credentials") String username,
            @ForAll("credentials") String password,
            @ForAll @IntRange(min = 1, max = 65_535) int port) {
        Assume.that(username.indexOf(':') < 0);
        String text = "http://" + encode(username) + ":" + encode(password) + "@proxy:" + port;
        ProxyUrl.Credentials credentials =
                Objects.requireNonNull(ProxyUrl.parse(text).credentials());
        assertThat(credentials.username()).isEqualTo(username);
        assertThat(credentials.password()).isEqualTo(password);
        assertThat(ProxyUrl.parse(text)).hasToString("http://***@proxy:" + port);
    }

    @Property
    void anyTextIsReadOrRefusedAndNeverShown(@ForAll @StringLength(max = 60) String noise) {
        for (String text : new String[] {noise, "http://" + noise, "socks5://u:" + CANARY + noise + "@h:1"}) {
            try {
                assertThat(ProxyUrl.parse(text).toString()).doesNotContain(CANARY);
            } catch (InvalidProxyUrlException refused) {
                assertThat(refused.getMessage()).doesNotContain(CANARY);
            }
        }
    }

    @Provide
    Arbitrary<String> credentials() {
        return Arbitraries.strings().all().ofMinLength(1).ofMaxLength(40).filter(text -> text.codePoints()
                .noneMatch(c -> Character.isISOControl(c) || Character.getType(c) == Character.SURROGATE));
    }

    private static String encode(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
    }
}
