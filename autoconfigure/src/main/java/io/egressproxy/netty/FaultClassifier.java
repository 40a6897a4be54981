package io.egressproxy.netty;

import io.egressproxy.Blame;
import io.egressproxy.ConnectionStage;
import io.egressproxy.ProxyUrl;
import io.egressproxy.RetryAfter;
import io.netty.channel.ConnectTimeoutException;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.proxy.ProxyConnectException;
import io.netty.handler.ssl.NotSslRecordException;
import java.net.UnknownHostException;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertificateException;
import java.security.cert.CertificateExpiredException;
import java.security.cert.CertificateNotYetValidException;
import java.time.Duration;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;

/**
 * Says whose fault a failed tunnel is, by the stage it failed in and by what was seen. The table is the one of the
 * semantics page (leases and blame); no text that a proxy sent is ever quoted.
 */
final class FaultClassifier {
    private static final Pattern SOCKS_STATUS = Pattern.compile("status: \\S*\\((-?\\d+)\\)");
    private static final String UNFINISHED = "did not finish the handshake in time";
    private static final String ANSWERED_THEN_CLOSED = "answered, and closed the connection during the handshake";
    private static final String CHECK_CREDENTIALS = "check the user name and password in its URL";
    private static final String CHECK_RUNNING = "check that it is running and reachable from this machine";
    private static final String CHECK_SCHEME = "check the scheme and the port of its URL";
    private static final String CHECK_TARGET = "check that the target is up, and that the proxy can reach it";

    private FaultClassifier() {}

    /** The proxy's name was not found, or its port not reached. */
    static ProxyFault tcp(Throwable cause) {
        String text = String.valueOf(cause.getMessage()).toLowerCase(Locale.ROOT);
        if (has(cause, UnknownHostException.class)) {
            return proxy(ConnectionStage.TCP, "has a host name that does not resolve", "check the host in its URL");
        }
        if (text.contains("network is unreachable") || text.contains("network unreachable")) {
            return new ProxyFault(
                    ConnectionStage.TCP,
                    Blame.LOCAL,
                    "cannot be reached: this machine has no route to it",
                    "check this machine's network");
        }
        if (text.contains("too many open files") || text.contains("cannot assign requested address")) {
            return new ProxyFault(
                    ConnectionStage.SELECT,
                    Blame.LOCAL,
                    "was not tried: this machine has no socket left",
                    "raise the limit of open files, or open fewer connections");
        }
        if (has(cause, ConnectTimeoutException.class) || has(cause, TimeoutException.class)) {
            return proxy(ConnectionStage.TCP, "did not accept the connection in time", CHECK_RUNNING)
                    .byTimeout();
        }
        if (text.contains("refused")) {
            return proxy(ConnectionStage.TCP, "refused the connection", CHECK_RUNNING);
        }
        if (text.contains("unreachable") || text.contains("no route")) {
            return proxy(ConnectionStage.TCP, "cannot be reached", CHECK_RUNNING);
        }
        return proxy(ConnectionStage.TCP, "could not be connected to", CHECK_RUNNING);
    }

    /** TLS with the proxy itself failed. */
    static ProxyFault tls(Throwable cause) {
        if (has(cause, NotSslRecordException.class)) {
            return new ProxyFault(
                    ConnectionStage.TLS,
                    Blame.CONFIGURATION,
                    "does not speak TLS",
                    "write http:// if the proxy is a plain one");
        }
        if (has(cause, CertificateExpiredException.class) || has(cause, CertificateNotYetValidException.class)) {
            return tls("has a certificate that is not valid today", "renew the proxy's certificate");
        }
        if (has(cause, CertPathValidatorException.class) || messages(cause).anyMatch(m -> m.contains("PKIX path"))) {
            return tls("has a certificate that is not trusted", "name an ssl-bundle that trusts it");
        }
        if (messages(cause).anyMatch(m -> m.contains("No subject alternative") || m.contains("No name matching"))) {
            return tls(
                    "has a certificate for another host name",
                    "write the name in the certificate into the proxy's URL");
        }
        if (has(cause, CertificateException.class)) {
            return tls("has a certificate that is not accepted", "check the proxy's certificate");
        }
        if (has(cause, TimeoutException.class)) {
            return tls("did not finish TLS in time", "write http:// if the proxy is a plain one")
                    .byTimeout();
        }
        return tls("failed in TLS", "check the proxy's certificate and its TLS versions, and its own log");
    }

    /** The client closed the channel while it was being connected. */
    static ProxyFault givenUp(ConnectionStage stage) {
        return new ProxyFault(stage, Blame.LOCAL, "was given up by the client", "nothing is wrong with the proxy");
    }

    /** No TLS context could be made for the proxy. */
    static ProxyFault noTlsContext() {
        return new ProxyFault(
                ConnectionStage.TLS,
                Blame.CONFIGURATION,
                "was not tried: its ssl-bundle cannot be used",
                "check the SSL bundle");
    }

    /** A service's proxy leads where no service may lead. */
    static ProxyFault forbiddenAddress() {
        return new ProxyFault(
                ConnectionStage.TCP,
                Blame.CONFIGURATION,
                "was not tried: the proxy service named it, and it is link-local, multicast or unspecified",
                "check what the proxy service answers");
    }

    /** The target's name would have to be resolved here for this proxy, and is not known; to others it may be. */
    static ProxyFault targetUnknown() {
        return new ProxyFault(
                ConnectionStage.SELECT,
                Blame.TARGET,
                "was not tried: the target's host name does not resolve to an IPv4 address here, and plain socks4 carries"
                        + " no names",
                "use socks4a or socks5");
    }

    private static ProxyFault tls(String detail, String advice) {
        return proxy(ConnectionStage.TLS, detail, advice);
    }

    /** The proxy was reached, but no tunnel came of it. */
    static ProxyFault handshake(ProxyUrl.Scheme scheme, Throwable cause, boolean answered, boolean foreign) {
        if (foreign || cause instanceof HttpConnectHandler.NotHttpException) {
            return handshake(
                    Blame.CONFIGURATION, "answered with something that is not " + protocol(scheme), CHECK_SCHEME);
        }
        if (cause instanceof HttpConnectHandler.RefusedException refused) {
            return connect(refused);
        }
        if (has(cause, TimeoutException.class)) {
            ProxyFault late = answered
                    ? handshake(Blame.AMBIGUOUS, UNFINISHED, CHECK_TARGET)
                    : handshake(Blame.PROXY, "accepted the connection, but did not answer in time", CHECK_RUNNING);
            return late.byTimeout();
        }
        if (has(cause, SSLException.class)) { // TLS 1.3 rejects a client's certificate after its handshake
            return tls(cause);
        }
        String text = String.valueOf(cause.getMessage());
        if (cause instanceof ProxyConnectException && cause.getCause() == null) {
            if (text.contains("authStatus")) {
                return handshake(Blame.CREDENTIALS, "rejected the user name or password", CHECK_CREDENTIALS);
            }
            if (text.contains("authMethod")) {
                return handshake(Blame.CREDENTIALS, "accepts no authentication that its URL offers", CHECK_CREDENTIALS);
            }
            Matcher status = SOCKS_STATUS.matcher(text);
            if (status.find()) {
                int code = Integer.parseInt(status.group(1));
                return scheme == ProxyUrl.Scheme.SOCKS5 ? socks5(code) : socks4(code);
            }
        }
        return handshake(
                Blame.AMBIGUOUS,
                answered ? ANSWERED_THEN_CLOSED : "closed the connection during the handshake",
                "see the proxy's own log");
    }

    /** Whether a failure is the proxy's own refusal, in its protocol; 3xx is the answer of a web server, or of a portal. */
    static boolean isAnswer(Throwable failure) {
        return causes(failure)
                .anyMatch(cause -> (cause instanceof HttpConnectHandler.RefusedException refused
                                && refused.status().code() >= 400)
                        || (cause instanceof ProxyConnectException
                                && SOCKS_STATUS
                                        .matcher(String.valueOf(cause.getMessage()))
                                        .find()));
    }

    /** Whether a proxy has begun to answer, and then has not gone on. */
    static boolean hasBegunToAnswer(String detail) {
        return detail.equals(UNFINISHED) || detail.equals(ANSWERED_THEN_CLOSED);
    }

    private static ProxyFault connect(HttpConnectHandler.RefusedException refused) {
        HttpResponseStatus status = refused.status();
        int code = status.code();
        String refusal = "refused CONNECT with " + code;
        return switch (code) {
            case 401, 407 -> handshake(Blame.CREDENTIALS, refusal, CHECK_CREDENTIALS);
            case 403, 405, 451 ->
                handshake(
                        Blame.POLICY,
                        refusal,
                        "the proxy forbids this host or port: have it allowed there (squid: acl SSL_ports, tinyproxy:"
                                + " ConnectPort)");
            case 429 -> tooMany(refusal, RetryAfter.parse(refused.retryAfter()));
            case 500, 502, 503, 504 -> handshake(Blame.AMBIGUOUS, refusal, CHECK_TARGET);
            default -> handshake(Blame.CONFIGURATION, refusal + ", as a web server would, not a proxy", CHECK_SCHEME);
        };
    }

    private static ProxyFault tooMany(String refusal, @Nullable Duration retryAfter) {
        return new ProxyFault(
                ConnectionStage.HANDSHAKE,
                Blame.POLICY,
                retryAfter == null ? refusal : refusal + " for " + retryAfter.toSeconds() + " s",
                "use this proxy less often",
                retryAfter,
                false);
    }

    private static ProxyFault socks5(int code) {
        return switch (code) {
            case 2 -> policy("refused this target by its rules (SOCKS 2)");
            case 7 -> policy("does not support CONNECT (SOCKS 7)");
            case 8 -> policy("does not support this kind of address (SOCKS 8)");
            case 1 -> ambiguous("reports a general failure (SOCKS 1)");
            case 3 -> ambiguous("has no route to the target's network (SOCKS 3)");
            case 4 -> ambiguous("cannot reach or resolve the target's host (SOCKS 4)");
            case 5 -> ambiguous("was refused the connection by the target (SOCKS 5)");
            case 6 -> ambiguous("did not reach the target in time (SOCKS 6)");
            default -> ambiguous("refused with an unknown code (SOCKS " + code + ")");
        };
    }

    private static ProxyFault socks4(int code) {
        return code == 92 || code == 93
                ? handshake(Blame.CREDENTIALS, "rejected the user id (SOCKS " + code + ")", CHECK_CREDENTIALS)
                : ambiguous("rejected or failed the connection (SOCKS " + code + ")");
    }

    private static ProxyFault policy(String detail) {
        return handshake(Blame.POLICY, detail, "have the target allowed in the proxy's rules");
    }

    private static ProxyFault ambiguous(String detail) {
        return handshake(Blame.AMBIGUOUS, detail, CHECK_TARGET);
    }

    private static ProxyFault handshake(Blame blame, String detail, String advice) {
        return new ProxyFault(ConnectionStage.HANDSHAKE, blame, detail, advice);
    }

    private static ProxyFault proxy(ConnectionStage stage, String detail, String advice) {
        return new ProxyFault(stage, Blame.PROXY, detail, advice);
    }

    private static String protocol(ProxyUrl.Scheme scheme) {
        return switch (scheme) {
            case HTTP, HTTPS -> "an HTTP proxy's answer";
            case SOCKS4, SOCKS4A -> "SOCKS 4";
            case SOCKS5 -> "SOCKS 5";
        };
    }

    private static boolean has(Throwable failure, Class<? extends Throwable> type) {
        return causes(failure).anyMatch(type::isInstance);
    }

    private static Stream<String> messages(Throwable failure) {
        return causes(failure)
                .map(Throwable::getMessage)
                .filter(Objects::nonNull)
                .map(String::valueOf);
    }

    private static Stream<Throwable> causes(@Nullable Throwable failure) {
        return Stream.iterate(failure, Objects::nonNull, cause -> Objects.requireNonNull(cause)
                        .getCause())
                .limit(20)
                .map(Objects::requireNonNull);
    }
}
