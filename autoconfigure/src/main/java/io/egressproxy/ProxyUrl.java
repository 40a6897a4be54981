package io.egressproxy;

import io.netty.util.NetUtil;
import java.net.IDN;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Objects;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The address of a proxy: scheme, host, port and, where it wants them, credentials.
 *
 * <p>Not a {@link java.net.URI}: that has no host for {@code http://binance_proxy:8080} or a password with a raw {@code
 * @}, and its exceptions quote the whole text. Here no exception, no {@link #toString()} and no log shows a credential.
 *
 * <p>Immutable. Two are equal if they would be used alike: same scheme, host, port, user name and password.
 */
public final class ProxyUrl {
    /** How to speak to a proxy. */
    public enum Scheme {
        /** HTTP {@code CONNECT}, in the clear up to the proxy. */
        HTTP,
        /** HTTP {@code CONNECT} inside TLS to the proxy; the host name in its certificate is verified. */
        HTTPS,
        /** SOCKS 4: cannot carry names, so the target's name is resolved here, to IPv4. That is a DNS leak by nature. */
        SOCKS4,
        /** SOCKS 4A: the target's name goes to the proxy. */
        SOCKS4A,
        /** SOCKS 5 (RFC 1928), with user name and password (RFC 1929); the target's name goes to the proxy. */
        SOCKS5;

        /**
         * The scheme as it is written in a URL.
         *
         * @return for example {@code socks5}
         */
        public String id() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /**
     * User name and password, decoded.
     *
     * @param username never empty
     * @param password empty if the URL has none
     */
    public record Credentials(String username, String password) {
        @Override
        public String toString() {
            return MASK;
        }
    }

    private static final String MASK = "***";
    private static final String SCHEMES = "http, https, socks4, socks4a or socks5";
    private static final Pattern SCHEME_TEXT = Pattern.compile("[A-Za-z][A-Za-z0-9+.-]{0,11}");
    private static final Pattern PORT_TEXT = Pattern.compile("[0-9]{1,5}");
    private static final Pattern HOST_LABEL = Pattern.compile("[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?");
    private static final Pattern NUMERIC_LABEL = Pattern.compile("[0-9]+|0x[0-9a-f]*");
    private static final int MAX_HOST_LENGTH = 253;
    private static final int MAX_SOCKS5_FIELD = 255;

    private final Scheme scheme;
    private final String host;
    private final int port;
    private final @Nullable Credentials credentials;

    private ProxyUrl(Scheme scheme, String host, int port, @Nullable Credentials credentials) {
        this.scheme = scheme;
        this.host = host;
        this.port = port;
        this.credentials = credentials;
    }

    /**
     * Reads a URL such as {@code socks5://user:p%40ss@proxy.example.org:1080}.
     *
     * <p>Credentials end at the last {@code @} and are percent-decoded once; the password starts at the first {@code :}.
     * IPv6 addresses stand in brackets, international names are turned into their ASCII form, {@code socks5h} means
     * {@code socks5}. The port is required, a path is not allowed.
     *
     * @param text the URL
     * @return what it says
     * @throws InvalidProxyUrlException if it is no such URL
     */
    public static ProxyUrl parse(String text) {
        return new Parser(text).parse();
    }

    /**
     * How to speak to the proxy.
     *
     * @return the scheme
     */
    public Scheme scheme() {
        return scheme;
    }

    /**
     * The proxy's host.
     *
     * @return a name in lower case ASCII, or an address; an IPv6 address has no brackets
     */
    public String host() {
        return host;
    }

    /**
     * The proxy's port.
     *
     * @return 1 to 65535
     */
    public int port() {
        return port;
    }

    /**
     * What the proxy asks for.
     *
     * @return user name and password, or null
     */
    public @Nullable Credentials credentials() {
        return credentials;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof ProxyUrl url
                && scheme == url.scheme
                && port == url.port
                && host.equals(url.host)
                && Objects.equals(credentials, url.credentials);
    }

    @Override
    public int hashCode() {
        return Objects.hash(scheme, host, port, credentials);
    }

    /**
     * Where the proxy is, whoever uses it.
     *
     * @return for example {@code socks5://proxy.example.org:1080}
     */
    public String address() {
        return scheme.id() + "://" + authority();
    }

    /**
     * Whether this is the same proxy for the same user, whatever the password.
     *
     * @param other another URL
     * @return true if scheme, host, port and user name are the same
     */
    public boolean isSameUserOf(ProxyUrl other) {
        return address().equals(other.address())
                && Objects.equals(
                        credentials == null ? null : credentials.username(),
                        other.credentials == null ? null : other.credentials.username());
    }

    private String authority() {
        return (host.indexOf(':') >= 0 ? "[" + host + "]" : host) + ":" + port;
    }

    /** The URL with its credentials masked, for example {@code socks5://***@proxy.example.org:1080}. */
    @Override
    public String toString() {
        return scheme.id() + "://" + (credentials == null ? "" : MASK + "@") + authority();
    }

    private static final class Parser {
        private final String text;
        private String maskedScheme = "";
        private String maskedUserInfo = "";
        private String maskedAuthority = MASK;

        Parser(String text) {
            this.text = text;
        }

        ProxyUrl parse() {
            if (text.codePoints().anyMatch(Character::isISOControl)) {
                throw invalid("holds a line break or another control character; remove it");
            }
            if (text.contains("${")) {
                throw invalid("holds a placeholder that nothing resolves; set the variable it names");
            }
            int schemeEnd = text.indexOf("://");
            if (schemeEnd < 0) {
                throw invalid("has no scheme; write " + SCHEMES + " before it, for example socks5://proxy:1080");
            }
            Scheme scheme = scheme(text.substring(0, schemeEnd));
            String rest = text.substring(schemeEnd + "://".length());
            int at = rest.lastIndexOf('@');
            maskedUserInfo = at < 0 ? "" : MASK + "@";
            String authority = rest.substring(at + 1);
            if (authority.endsWith("/")) {
                authority = authority.substring(0, authority.length() - 1);
            }
            if (at >= 0 && hasDelimiter(rest.substring(0, at))) {
                throw invalid("holds '/', '?' or '#' in its credentials; write them as %2F, %3F or %23");
            }
            if (hasDelimiter(authority)) {
                throw invalid("has a path, a query or a fragment; end it after the port"
                        + " (in credentials write / ? # as %2F %3F %23)");
            }
            HostAndPort address = hostAndPort(authority);
            maskedAuthority = authority;
            Credentials credentials = at < 0 ? null : credentials(scheme, rest.substring(0, at));
            return new ProxyUrl(scheme, address.host, address.port, credentials);
        }

        private static boolean hasDelimiter(String text) {
            return text.indexOf('/') >= 0 || text.indexOf('?') >= 0 || text.indexOf('#') >= 0;
        }

        private Scheme scheme(String name) {
            if (!SCHEME_TEXT.matcher(name).matches()) {
                throw invalid("has no valid scheme; use " + SCHEMES);
            }
            Scheme scheme = known(name);
            maskedScheme = name.toLowerCase(Locale.ROOT) + "://";
            return scheme;
        }

        private Scheme known(String name) {
            return switch (name.toLowerCase(Locale.ROOT)) {
                case "http" -> Scheme.HTTP;
                case "https" -> Scheme.HTTPS;
                case "socks4" -> Scheme.SOCKS4;
                case "socks4a" -> Scheme.SOCKS4A;
                case "socks5", "socks5h" -> Scheme.SOCKS5;
                default -> throw invalid("has a scheme that is not supported; use " + SCHEMES);
            };
        }

        private record HostAndPort(String host, int port) {}

        private HostAndPort hostAndPort(String authority) {
            boolean bracketed = authority.startsWith("[");
            int hostEnd = bracketed ? authority.indexOf(']') + 1 : authority.lastIndexOf(':');
            if (bracketed && hostEnd == 0) {
                throw invalid("has a '[' without ']'; write an IPv6 address as [2001:db8::1]:1080");
            }
            if (!bracketed && authority.indexOf(':') != authority.lastIndexOf(':')) {
                throw invalid("has more than one ':' in host and port; write an IPv6 address in brackets,"
                        + " as [2001:db8::1]:1080");
            }
            String host = hostEnd < 0 ? authority : authority.substring(0, hostEnd);
            if (host.isEmpty()) {
                throw invalid("has no host; write it before the port, for example socks5://proxy:1080");
            }
            String port = hostEnd < 0 || hostEnd == authority.length() ? "" : authority.substring(hostEnd);
            if (!port.startsWith(":") || port.length() == 1) {
                throw invalid("has no port; write one from 1 to 65535 after the host, there is no default");
            }
            return new HostAndPort(bracketed ? ipv6(host) : name(host), port(port.substring(1)));
        }

        private int port(String digits) {
            int port = PORT_TEXT.matcher(digits).matches() ? Integer.parseInt(digits) : 0;
            if (port < 1 || port > 65_535) {
                throw invalid("has a port that is not a number from 1 to 65535");
            }
            return port;
        }

        private String ipv6(String bracketed) {
            String address = bracketed.substring(1, bracketed.length() - 1).toLowerCase(Locale.ROOT);
            if (address.indexOf('%') >= 0 || !NetUtil.isValidIpV6Address(address)) {
                throw invalid("has something in brackets that is no IPv6 address; write [2001:db8::1], without a zone");
            }
            return address;
        }

        private String name(String written) {
            if (NetUtil.isValidIpV4Address(written)) { // as most are; of those there may be ten thousand
                return written;
            }
            String host;
            try {
                host = IDN.toASCII(written, IDN.ALLOW_UNASSIGNED).toLowerCase(Locale.ROOT);
            } catch (IllegalArgumentException notInternational) {
                throw invalid("has a host that is no valid name");
            }
            String[] labels = host.split("\\.", -1);
            int last = labels.length - 1;
            if (last > 0 && labels[last].isEmpty()) {
                last--; // a final dot makes the name absolute
            }
            for (int i = 0; i <= last; i++) {
                if (!HOST_LABEL.matcher(labels[i]).matches()) {
                    throw invalid("has a host that is no valid name: use letters, digits, '-', '_' and '.'");
                }
            }
            if (host.length() > MAX_HOST_LENGTH) {
                throw invalid("has a host of more than " + MAX_HOST_LENGTH + " characters");
            }
            if (NUMERIC_LABEL.matcher(labels[last]).matches() && !NetUtil.isValidIpV4Address(host)) {
                throw invalid(
                        "has a host that looks like an IPv4 address and is none; write four numbers from 0 to 255");
            }
            return host;
        }

        private Credentials credentials(Scheme scheme, String userInfo) {
            int colon = userInfo.indexOf(':');
            String username = decode(colon < 0 ? userInfo : userInfo.substring(0, colon));
            String password = colon < 0 ? "" : decode(userInfo.substring(colon + 1));
            if (username.isEmpty()) {
                throw invalid("has an '@' but no user name before it; write user:password@ or remove the '@'");
            }
            switch (scheme) {
                case HTTP, HTTPS -> {
                    if (username.indexOf(':') >= 0) {
                        throw invalid("has a ':' in its user name, which HTTP Basic authentication cannot carry");
                    }
                }
                case SOCKS4, SOCKS4A -> {
                    if (!password.isEmpty()) {
                        throw invalid("has a password, but SOCKS 4 knows a user id only; remove it or use socks5");
                    }
                    requireAscii(username);
                }
                case SOCKS5 -> {
                    requireAscii(username);
                    requireAscii(password);
                }
            }
            return new Credentials(username, password);
        }

        private void requireAscii(String field) {
            if (field.length() > MAX_SOCKS5_FIELD || field.chars().anyMatch(c -> c > 0x7e)) {
                throw invalid("has a user name or password that SOCKS cannot carry: at most " + MAX_SOCKS5_FIELD
                        + " ASCII characters each");
            }
        }

        private String decode(String encoded) {
            if (encoded.indexOf('%') < 0) {
                return encoded; // looked at for control characters with the whole text
            }
            ByteBuffer bytes = ByteBuffer.allocate(encoded.getBytes(StandardCharsets.UTF_8).length);
            for (int i = 0; i < encoded.length(); ) {
                int codePoint = encoded.codePointAt(i);
                if (codePoint != '%') {
                    bytes.put(Character.toString(codePoint).getBytes(StandardCharsets.UTF_8));
                    i += Character.charCount(codePoint);
                    continue;
                }
                int high = i + 2 < encoded.length() ? Character.digit(encoded.charAt(i + 1), 16) : -1;
                int low = high < 0 ? -1 : Character.digit(encoded.charAt(i + 2), 16);
                if (low < 0) {
                    throw invalid("has a '%' in its credentials without two hexadecimal digits after it;"
                            + " write a percent sign as %25");
                }
                bytes.put((byte) (high << 4 | low));
                i += 3;
            }
            String decoded;
            try {
                decoded =
                        StandardCharsets.UTF_8.newDecoder().decode(bytes.flip()).toString();
            } catch (CharacterCodingException notUtf8) {
                throw invalid("has credentials whose percent-escapes are not UTF-8");
            }
            if (decoded.codePoints().anyMatch(Character::isISOControl)) {
                throw invalid("has a line break or another control character in its credentials; remove it");
            }
            return decoded;
        }

        /** Shows host and port only once both were understood: before that, either may be part of a password. */
        private InvalidProxyUrlException invalid(String problem) {
            return new InvalidProxyUrlException(maskedScheme + maskedUserInfo + maskedAuthority, problem);
        }
    }
}
