package io.egressproxy.service;

import io.egressproxy.settings.ExternalServiceSettings;
import io.egressproxy.settings.ExternalServiceSettings.AuthCredentials;
import io.micrometer.observation.ObservationRegistry;
import io.netty.channel.ChannelOption;
import io.netty.handler.ssl.SslContext;
import io.netty.resolver.dns.DnsAddressResolverGroup;
import io.netty.resolver.dns.DnsServerAddressStreamProvider;
import io.netty.resolver.dns.DnsServerAddressStreamProviders;
import java.time.Duration;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.core.io.buffer.DataBuffer;
import org.springframework.core.io.buffer.DataBufferUtils;
import org.springframework.http.HttpHeaders;
import org.springframework.http.client.reactive.ReactorClientHttpConnector;
import org.springframework.web.reactive.function.client.ClientResponse;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.netty.http.client.HttpClient;
import reactor.netty.resources.ConnectionProvider;
import reactor.netty.resources.LoopResources;
import reactor.netty.transport.NameResolverProvider;

/**
 * The HTTP client for the service: its own connections, which never go through the proxies that the service manages, no
 * redirects, and answers of at most 64 KiB. Certificates and credentials are read again when they change. Thread-safe.
 */
public final class ServiceConnection implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(ServiceConnection.class);

    /** After decompression. */
    private static final int MOST_BYTES = 64 * 1024;

    private static final int MOST_CONNECTIONS = 16;
    private static final int MOST_WAITING = 1_000;
    private static final int MOST_CONNECT_MILLIS = 1_000; // a name may have other addresses
    private static final Duration CONNECTION_LIFE = Duration.ofSeconds(30); // so that names are resolved again

    private record Built(@Nullable SslContext tls, WebClient client, WebClient healthClient) {}

    private final ExternalServiceSettings settings;
    private final LoopResources loops;
    private final Supplier<@Nullable SslContext> tls;
    private final Supplier<AuthCredentials> credentials;
    private final ObservationRegistry observations;
    private final ConnectionProvider connections;
    private final ConnectionProvider healthConnections;
    private final DnsAddressResolverGroup names;
    private volatile @Nullable Built built;
    private volatile AuthCredentials current;

    /**
     * A connection that is made when it is first used.
     *
     * @param settings of the service
     * @param loops the event loops to run on
     * @param tls the TLS context to use now, or null for the JVM's trust
     * @param credentials reads the credentials again
     * @param observations where requests are observed, and traced
     */
    public ServiceConnection(
            ExternalServiceSettings settings,
            LoopResources loops,
            Supplier<@Nullable SslContext> tls,
            Supplier<AuthCredentials> credentials,
            ObservationRegistry observations) {
        this(
                settings,
                loops,
                tls,
                credentials,
                observations,
                CONNECTION_LIFE,
                DnsServerAddressStreamProviders.platformDefault());
    }

    /**
     * The same with another resolution of names.
     *
     * @param life how long a connection and the address of a name are used
     * @param nameServers whom to ask for addresses
     */
    ServiceConnection(
            ExternalServiceSettings settings,
            LoopResources loops,
            Supplier<@Nullable SslContext> tls,
            Supplier<AuthCredentials> credentials,
            ObservationRegistry observations,
            Duration life,
            DnsServerAddressStreamProvider nameServers) {
        this.connections = connections("proxy-service", MOST_CONNECTIONS, life);
        this.healthConnections = connections("proxy-service-health", 1, life);
        this.names = NameResolverProvider.builder()
                .cacheMaxTimeToLive(life)
                .dnsAddressResolverGroupProvider(
                        builder -> new DnsAddressResolverGroup(builder.nameServerProvider(nameServers)))
                .build()
                .newNameResolverGroup(loops, LoopResources.DEFAULT_NATIVE);
        this.settings = settings;
        this.loops = loops;
        this.tls = tls;
        this.credentials = credentials;
        this.observations = observations;
        this.current = settings.authCredentials();
    }

    WebClient client() {
        return built().client();
    }

    /** With connections of its own: requests that wait for each other say nothing about the service's health. */
    WebClient healthClient() {
        return built().healthClient();
    }

    private Built built() {
        SslContext context = tls.get();
        Built present = built;
        if (present == null || present.tls() != context) {
            present = new Built(context, build(context, connections), build(context, healthConnections));
            built = present;
        }
        return present;
    }

    private WebClient build(@Nullable SslContext context, ConnectionProvider provider) {
        HttpClient http = HttpClient.create(provider)
                .runOn(loops)
                .resolver(names)
                .noProxy()
                .followRedirect(false)
                .compress(true)
                .option(
                        ChannelOption.CONNECT_TIMEOUT_MILLIS,
                        Math.min(settings.timeoutSeconds() * 1_000, MOST_CONNECT_MILLIS));
        if (context != null) {
            http = http.secure(spec -> spec.sslContext(context));
        }
        return WebClient.builder()
                .clientConnector(new ReactorClientHttpConnector(http))
                .codecs(codecs -> codecs.defaultCodecs().maxInMemorySize(MOST_BYTES))
                .observationRegistry(observations)
                .build();
    }

    private static ConnectionProvider connections(String name, int most, Duration life) {
        return ConnectionProvider.builder(name)
                .maxConnections(most)
                .pendingAcquireMaxCount(MOST_WAITING)
                .maxIdleTime(life)
                .maxLifeTime(life)
                .build();
    }

    /** The credentials to send now. */
    AuthCredentials credentials() {
        return current;
    }

    void authenticate(HttpHeaders headers, AuthCredentials present) {
        switch (settings.authMethod()) {
            case BEARER_TOKEN -> {
                if (present.token() != null) {
                    headers.setBearerAuth(present.token());
                }
            }
            case API_KEY -> {
                if (present.apiKey() != null) {
                    headers.set("X-API-Key", present.apiKey());
                }
            }
            case MUTUAL_TLS -> {
                // the certificate says who we are
            }
        }
    }

    /** Reads what nobody wants, so that the connection can be used again; not an endless body. */
    static Mono<Void> discard(ClientResponse response) {
        return DataBufferUtils.takeUntilByteCount(response.bodyToFlux(DataBuffer.class), MOST_BYTES)
                .doOnNext(DataBufferUtils::release)
                .then();
    }

    /**
     * Whether others are to be sent now than those that were rejected; if need be, they are read again. They may stand in files, which
     * no event loop should wait for.
     *
     * @param rejected what the service did not accept
     */
    Mono<Boolean> areCredentialsOthers(AuthCredentials rejected) {
        return !current.equals(rejected) // somebody else was quicker
                ? Mono.just(true)
                : Mono.fromCallable(() -> {
                            readCredentialsAgain();
                            return !current.equals(rejected);
                        })
                        .subscribeOn(Schedulers.boundedElastic());
    }

    private void readCredentialsAgain() {
        try {
            current = credentials.get();
        } catch (RuntimeException unreadable) { // half-written, perhaps: those of before stay
            log.warn(
                    "The proxy service's credentials cannot be read again: {}",
                    unreadable.getClass().getSimpleName());
        }
    }

    @Override
    public void close() {
        Mono.when(connections.disposeLater(), healthConnections.disposeLater())
                .doFinally(done -> names.close())
                .subscribe();
    }
}
