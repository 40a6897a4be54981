package io.egressproxy.service;

import io.egressproxy.InvalidProxyUrlException;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyUrl;
import io.egressproxy.settings.ExternalServiceSettings;
import io.netty.util.NetUtil;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.function.DoubleSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Takes an answer as it came, and either refuses it or makes an {@link Answer} of it. A service is trusted no further than the
 * application's own settings are: it may have been taken over, and what it names is connected to from inside.
 */
final class AnswerValidator {
    private static final Duration LONGEST_TTL = Duration.ofHours(1);
    private static final Duration TTL_OF_NONE = Duration.ofSeconds(10);
    private static final double REFRESH_FROM = 0.75;
    private static final double REFRESH_SPREAD = 0.1;
    private static final int LONGEST_ID = 256;

    private final ExternalServiceSettings settings;
    private final DoubleSupplier random;

    AnswerValidator(ExternalServiceSettings settings, DoubleSupplier random) {
        this.settings = settings;
        this.random = random;
    }

    Answer validated(ProxyResponse response, String correlationId, long nowNanos) throws ProxyServiceException {
        String url = response.proxyUrl();
        ProxyUrl proxy = url == null || url.isEmpty() ? null : proxy(url);
        if (proxy == null && response.fallbackPolicy() == null) {
            throw WebProxyServiceClient.invalid("answered with neither proxy_url nor fallback_policy");
        }
        return new Answer(
                proxy,
                proxy == null ? null : url,
                id(response),
                correlationId,
                FallbackPolicy.of(response.fallbackPolicy()),
                nowNanos,
                ttl(response, proxy != null).toNanos(),
                REFRESH_FROM + REFRESH_SPREAD * random.getAsDouble());
    }

    private static @Nullable String id(ProxyResponse response) throws ProxyServiceException {
        String id = response.proxyId();
        if (id != null && (id.length() > LONGEST_ID || id.chars().anyMatch(c -> c < ' ' || c == 0x7F))) {
            throw WebProxyServiceClient.invalid("answered with a proxy_id that is too long or has control characters");
        }
        return id;
    }

    private ProxyUrl proxy(String url) throws ProxyServiceException {
        ProxyUrl proxy;
        try {
            proxy = ProxyUrl.parse(url);
        } catch (InvalidProxyUrlException invalid) { // its message is without secrets
            throw WebProxyServiceClient.invalid(
                    "answered with a proxy_url that is not usable: " + invalid.getMessage());
        }
        if (!settings.allowedProxyHosts().isEmpty()
                && settings.allowedProxyHosts().stream().noneMatch(allowed -> allowed.matches(proxy.host()))) {
            throw WebProxyServiceClient.invalid("answered with a proxy that allowed-proxy-hosts does not have");
        }
        byte[] literal = NetUtil.createByteArrayFromIpAddressString(proxy.host());
        if (literal != null && !ProxyDecision.Source.SERVICE.allows(address(literal))) {
            throw WebProxyServiceClient.invalid(
                    "answered with a proxy at a link-local, multicast or unspecified address");
        }
        return proxy;
    }

    private static InetAddress address(byte[] literal) {
        try {
            return InetAddress.getByAddress(literal);
        } catch (UnknownHostException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    private Duration ttl(ProxyResponse response, boolean hasProxy) throws ProxyServiceException {
        Long seconds = response.ttlSeconds();
        if (seconds == null) {
            return hasProxy ? Duration.ofSeconds(settings.cacheTtlSeconds()) : TTL_OF_NONE;
        }
        if (seconds < 0) {
            throw WebProxyServiceClient.invalid("answered with a negative ttl_seconds");
        }
        if (seconds < settings.minTtlSeconds()) {
            throw WebProxyServiceClient.invalid("answered with ttl_seconds " + seconds
                    + ", and the contract wants at least " + settings.minTtlSeconds()
                    + "; lower proxy.external-service.min-ttl-seconds if that is meant");
        }
        return seconds > LONGEST_TTL.toSeconds() ? LONGEST_TTL : Duration.ofSeconds(seconds);
    }
}
