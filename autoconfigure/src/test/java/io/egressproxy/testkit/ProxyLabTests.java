package io.egressproxy.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

@ExtendWith(ProxyLab.Extension.class)
class ProxyLabTests {

    private static TargetServer target;

    @BeforeAll
    static void startTarget(ProxyLab lab) {
        target = lab.newTarget();
    }

    @AfterAll
    static void stopTarget() {
        target.close();
    }

    @BeforeEach
    void forgetWhatWasSeen() {
        target.clear();
    }

    static List<RunningProxy> allKinds(ProxyLab lab) {
        return lab.allKinds();
    }

    static List<RunningProxy> kindsThatCarryNames(ProxyLab lab) {
        return lab.allKinds("http", "https", "socks4a", "socks5");
    }

    static List<RunningProxy> kindsWithCredentials(ProxyLab lab) {
        return lab.allKindsWithCredentials();
    }

    static List<RunningProxy> onePerProgram(ProxyLab lab) {
        return Stream.of(
                        ProxyKind.MICROSOCKS_SOCKS5_CREDENTIALS,
                        ProxyKind.DANTE_SOCKS5_CREDENTIALS,
                        ProxyKind.V2RAY_SOCKS4A,
                        ProxyKind.TINYPROXY_HTTP,
                        ProxyKind.SQUID_HTTPS_CREDENTIALS,
                        ProxyKind.HAPROXY_HTTPS)
                .map(lab::proxy)
                .toList();
    }

    @ParameterizedTest
    @MethodSource("allKinds")
    void reachesThePlainTargetFromTheProxysOwnAddress(RunningProxy proxy, ProxyLab lab) {
        Curl.Result result = Curl.get(target.url("http", "/whoami"))
                .through(proxy)
                .trusting(lab.certificates())
                .run();

        assertThat(result.status()).as(result.errors()).isEqualTo(200);
        assertThat(result.body()).contains("\"peer\":\"" + proxy.egressAddress() + "\"");
        assertThat(target.directConnections()).isEmpty();
        assertThat(target.connectionsFrom(proxy)).hasSize(1);
    }

    @ParameterizedTest
    @MethodSource("allKinds")
    void reachesTheTlsTargetOverHttp2FromTheProxysOwnAddress(RunningProxy proxy, ProxyLab lab) {
        Curl.Result result = Curl.get(target.url("https", "/whoami"))
                .through(proxy)
                .trusting(lab.certificates())
                .run();

        assertThat(result.status()).as(result.errors()).isEqualTo(200);
        assertThat(result.httpVersion()).isEqualTo("2");
        assertThat(result.body()).contains("\"peer\":\"" + proxy.egressAddress() + "\"");
    }

    @ParameterizedTest
    @MethodSource("kindsThatCarryNames")
    void resolvesANameThatOnlyTheProxiesKnow(RunningProxy proxy, ProxyLab lab) {
        lab.assumeProxyOnlyNames(proxy);

        Curl.Result result = Curl.get(target.url("https", ProxyLab.PROXY_ONLY_NAME, "/whoami"))
                .through(proxy)
                .trusting(lab.certificates())
                .run();

        assertThat(result.status()).as(result.errors()).isEqualTo(200);
        assertThat(result.body()).contains("\"peer\":\"" + proxy.egressAddress() + "\"");
    }

    @Test
    void thisJvmCannotResolveTheProxiesName() {
        assertThatThrownBy(() -> InetAddress.getByName(ProxyLab.PROXY_ONLY_NAME))
                .isInstanceOf(UnknownHostException.class);
    }

    @ParameterizedTest
    @MethodSource("kindsWithCredentials")
    void refusesAWrongPasswordAndNone(RunningProxy proxy, ProxyLab lab) {
        Credentials wrong = new Credentials(String.valueOf(proxy.username()), "wrong-C4NARY");
        Curl.Result withWrong = Curl.get(target.url("http", "/whoami"))
                .through(proxy.scheme(), proxy.port(), wrong)
                .trusting(lab.certificates())
                .run();
        Curl.Result withNone = Curl.get(target.url("http", "/whoami"))
                .through(proxy.scheme(), proxy.port(), null)
                .trusting(lab.certificates())
                .run();

        assertThat(withWrong.exitCode()).isNotZero();
        assertThat(withNone.exitCode()).isNotZero();
        if (proxy.scheme().startsWith("http")) {
            assertThat(withWrong.connectStatus()).isIn(401, 407);
            assertThat(withNone.connectStatus()).isEqualTo(407);
        }
        assertThat(target.seen()).isEmpty();
    }

    @ParameterizedTest
    @MethodSource("onePerProgram")
    void refusesConnectionsWhileStoppedAndServesAgainOnTheSamePort(RunningProxy proxy, ProxyLab lab) {
        int port = proxy.port();

        proxy.stop();
        Curl.Result stopped = Curl.get(target.url("http", "/whoami"))
                .through(proxy)
                .trusting(lab.certificates())
                .run();
        proxy.start();
        Curl.Result started = Curl.get(target.url("http", "/whoami"))
                .through(proxy)
                .trusting(lab.certificates())
                .run();

        assertThat(stopped.exitCode()).as("connection refused").isIn(7, 97);
        assertThat(started.status()).as(started.errors()).isEqualTo(200);
        assertThat(proxy.port()).isEqualTo(port);
    }

    @ParameterizedTest
    @MethodSource("onePerProgram")
    void isABlackHoleWhileFrozen(RunningProxy proxy, ProxyLab lab) {
        proxy.freeze();
        Curl.Result frozen = Curl.get(target.url("http", "/whoami"))
                .through(proxy)
                .trusting(lab.certificates())
                .with("--max-time", "0.3")
                .run();
        proxy.thaw();
        Curl.Result thawed = Curl.get(target.url("http", "/whoami"))
                .through(proxy)
                .trusting(lab.certificates())
                .run();

        assertThat(frozen.exitCode()).as("timeout").isEqualTo(28);
        assertThat(thawed.status()).as(thawed.errors()).isEqualTo(200);
    }

    @Test
    void stockSquidRefusesTunnelsToOtherPortsThan443(ProxyLab lab) {
        Curl.Result result = Curl.get(target.url("http", "/whoami"))
                .through(lab.proxy(ProxyKind.SQUID_STOCK_RULE))
                .run();

        assertThat(result.connectStatus()).isEqualTo(403);
        assertThat(target.seen()).isEmpty();
    }

    @ParameterizedTest
    @EnumSource(names = {"EXPIRED_CERTIFICATE", "WRONG_HOST_CERTIFICATE", "UNTRUSTED_CERTIFICATE"})
    void badTlsFrontsWorkOnlyForClientsThatDoNotVerify(ProxyKind kind, ProxyLab lab) {
        RunningProxy proxy = lab.proxy(kind);

        Curl.Result verifying = Curl.get(target.url("http", "/whoami"))
                .through(proxy)
                .trusting(lab.certificates())
                .run();
        Curl.Result careless = Curl.get(target.url("http", "/whoami"))
                .through(proxy)
                .with("--proxy-insecure")
                .run();

        assertThat(verifying.exitCode()).as("certificate problem").isEqualTo(60);
        assertThat(careless.status()).as(careless.errors()).isEqualTo(200);
    }

    @Test
    void everyPasswordHasTheCanaryAndUrlsHaveItEncoded(ProxyLab lab) {
        assertThat(lab.passwords()).isNotEmpty().allMatch(password -> password.contains(Credentials.CANARY));
        assertThat(lab.secrets()).containsAll(lab.passwords());
        RunningProxy squid = lab.proxy(ProxyKind.SQUID_HTTP_CREDENTIALS);
        assertThat(squid.url())
                .isEqualTo("http://feed%20user:p%40ss%3Aw%2F%C3%B6%25rd%231-C4NARY-squid@127.0.0.1:" + squid.port());
        assertThat(squid).hasToString("squid http +credentials");
    }

    @ParameterizedTest
    @MethodSource("onePerProgram")
    void writesALogWithoutThePassword(RunningProxy proxy, ProxyLab lab) throws IOException {
        Curl.get(target.url("http", "/whoami"))
                .through(proxy)
                .trusting(lab.certificates())
                .run();

        assertThat(proxy.logFile()).exists();
        assertThat(Files.readString(proxy.logFile())).doesNotContain(lab.secrets());
    }
}
