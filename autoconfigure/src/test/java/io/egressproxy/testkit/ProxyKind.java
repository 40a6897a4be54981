package io.egressproxy.testkit;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What the lab has to offer; {@link ProxyLab#proxy(ProxyKind)} hands it out. The credentials are awkward on purpose:
 * they hold the characters that mean something in a URL, a header or a shell, as far as the program takes them.
 */
public enum ProxyKind {
    MICROSOCKS_SOCKS5("microsocks", "socks5", 1),
    MICROSOCKS_SOCKS5_CREDENTIALS(
            "microsocks", "socks5", 2, new Credentials("feed+1", "p@ss:w/%rd#?1-C4NARY-microsocks")),
    DANTE_SOCKS5("dante", "socks5", 3),
    DANTE_SOCKS5_CREDENTIALS("dante", "socks5", 4, new Credentials("feed+2", "p@ss:w/%rd#?2-C4NARY-dante")),
    /** Strict: takes IPv4 addresses only, and answers 91 to a name in the manner of SOCKS4a. */
    DANTE_SOCKS4("dante", "socks4", 5),
    /** Says that the tunnel stands before it has called the target: a dead target shows as a closed tunnel. */
    V2RAY_SOCKS4A("v2ray", "socks4a", 6),
    TINYPROXY_HTTP("tinyproxy", "http", 7),
    /** Tinyproxy takes letters, digits, dot, hyphen and underscore only. Answers 401, not 407, to a wrong password. */
    TINYPROXY_HTTP_CREDENTIALS("tinyproxy", "http", 8, new Credentials("feed_user.1", "p.ss-w_rd-C4NARY-tinyproxy")),
    SQUID_HTTP("squid", "http", 9),
    SQUID_HTTP_CREDENTIALS("squid", "http", 10, new Credentials("feed user", "p@ss:w/ö%rd#1-C4NARY-squid")),
    SQUID_HTTPS("squid", "https", 11),
    SQUID_HTTPS_CREDENTIALS("squid", "https", 12, new Credentials("feed user", "p@ss:w/ö%rd#2-C4NARY-squid-tls")),
    /** TLS ends in haproxy; the proxy behind it is a tinyproxy of its own. */
    HAPROXY_HTTPS("haproxy", "https", 13),
    HAPROXY_HTTPS_CREDENTIALS("haproxy", "https", 14, new Credentials("feed_user.2", "p.ss-w_rd-C4NARY-front")),

    /** Not for matrices: answers 403 to a CONNECT to any port but 443, as squid's stock configuration does. */
    SQUID_STOCK_RULE("squid", "http", 15, "stock rule"),
    /** Not for matrices: a TLS front whose certificate is no longer valid. */
    EXPIRED_CERTIFICATE("haproxy", "https", 16, "expired certificate"),
    /** Not for matrices: a TLS front whose certificate names another host. */
    WRONG_HOST_CERTIFICATE("haproxy", "https", 17, "wrong host certificate"),
    /** Not for matrices: a TLS front whose certificate comes from an authority nobody trusts. */
    UNTRUSTED_CERTIFICATE("haproxy", "https", 18, "untrusted certificate"),

    /** Not for matrices, since they are all alike: five for a pool, see {@link ProxyLab#poolOfFive()}. */
    POOL_1("microsocks", "socks5", 21, "1 of a pool"),
    POOL_2("microsocks", "socks5", 22, "2 of a pool"),
    POOL_3("microsocks", "socks5", 23, "3 of a pool"),
    POOL_4("microsocks", "socks5", 24, "4 of a pool"),
    POOL_5("microsocks", "socks5", 25, "5 of a pool");

    private final String program;
    private final String scheme;
    private final String egressAddress;
    private final @Nullable Credentials credentials;
    private final @Nullable String peculiarity;

    ProxyKind(String program, String scheme, int number) {
        this(program, scheme, number, null, null);
    }

    ProxyKind(String program, String scheme, int number, Credentials credentials) {
        this(program, scheme, number, credentials, null);
    }

    ProxyKind(String program, String scheme, int number, String peculiarity) {
        this(program, scheme, number, null, peculiarity);
    }

    ProxyKind(
            String program,
            String scheme,
            int number,
            @Nullable Credentials credentials,
            @Nullable String peculiarity) {
        this.program = program;
        this.scheme = scheme;
        this.egressAddress = "127.77.1." + number;
        this.credentials = credentials;
        this.peculiarity = peculiarity;
    }

    public String program() {
        return program;
    }

    public String scheme() {
        return scheme;
    }

    /** The address from which the connections of this kind reach the target. */
    public String egressAddress() {
        return egressAddress;
    }

    public Optional<Credentials> credentials() {
        return Optional.ofNullable(credentials);
    }

    /** Whether any caller with the right credentials reaches any target through it. */
    public boolean isWorking() {
        return peculiarity == null;
    }

    /** The kinds for which {@link #isWorking()} holds. */
    public static List<ProxyKind> working() {
        return Arrays.stream(values()).filter(ProxyKind::isWorking).toList();
    }

    /** For example {@code microsocks socks5 +credentials}. */
    @Override
    public String toString() {
        String suffix = peculiarity != null ? ", " + peculiarity : credentials != null ? " +credentials" : "";
        return program + " " + scheme + suffix;
    }
}
