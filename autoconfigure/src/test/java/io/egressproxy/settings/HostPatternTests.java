package io.egressproxy.settings;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class HostPatternTests {
    @ParameterizedTest
    @CsvSource({
        "api.binance.com, api.binance.com",
        "api.binance.com, API.Binance.COM.",
        "API.BINANCE.com, api.binance.com",
        ".binance.com, api.binance.com",
        ".binance.com, a.b.binance.com",
        "*.binance.com, api.binance.com",
        "*.binance.com, a.b.binance.com",
        "api*.binance.com, api3.binance.com",
        "*, anything",
        "127.0.0.1, 127.0.0.1",
        "127.0.0.0/8, 127.77.1.3",
        "10.0.0.0/12, 10.15.255.255",
        "0.0.0.0/0, 8.8.8.8",
        "::1, ::1",
        "::1, [::1]",
        "::1, 0:0:0:0:0:0:0:1",
        "2001:db8::/32, 2001:db8:ffff::1",
        "127.0.0.0/8, ::ffff:127.0.0.1",
        "bücher.example, xn--bcher-kva.example",
        "bücher.example, BÜCHER.example"
    })
    void covers(String pattern, String host) {
        assertThat(HostPattern.of(pattern).matches(host)).isTrue();
    }

    @ParameterizedTest
    @CsvSource({
        "api.binance.com, xapi.binance.com",
        "api.binance.com, api.binance.com.evil.org",
        ".binance.com, binance.com",
        ".binance.com, evilbinance.com",
        "*.binance.com, binance.com",
        "*.binance.com, api.binance.com.evil.org",
        "api.binance.com, apixbinance.com",
        "127.0.0.0/8, 128.0.0.1",
        "127.0.0.0/8, localhost",
        "127.0.0.0/8, 127.1",
        "127.0.0.0/8, 2130706433",
        "127.0.0.0/8, 127.0.0.1.nip.io",
        "10.0.0.0/12, 10.16.0.0",
        "0.0.0.0/0, ::1",
        "::1, ::2"
    })
    void doesNotCover(String pattern, String host) {
        assertThat(HostPattern.of(pattern).matches(host)).isFalse();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"", ".", "http://h", "h:80", "h/path", "10.0.0.0/33", "::/129", "10.0.0.0/x", "a b", "host/8"})
    void whatIsNoPatternIsRefused(String text) {
        assertThatIllegalArgumentException().isThrownBy(() -> HostPattern.of(text));
    }
}
