package io.egressproxy.service;

import io.egressproxy.settings.ExternalServiceSettings;
import io.netty.buffer.ByteBuf;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.socket.DatagramChannel;
import io.netty.handler.codec.dns.DefaultDnsQuestion;
import io.netty.handler.codec.dns.DefaultDnsRecordDecoder;
import io.netty.handler.codec.dns.DnsRawRecord;
import io.netty.handler.codec.dns.DnsRecord;
import io.netty.handler.codec.dns.DnsRecordType;
import io.netty.resolver.dns.DnsNameResolver;
import io.netty.resolver.dns.DnsNameResolverBuilder;
import io.netty.resolver.dns.DnsServerAddressStreamProvider;
import io.netty.resolver.dns.NoopDnsCache;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.Future;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.netty.resources.LoopResources;

/**
 * Finds endpoints by a DNS SRV record (RFC 2782) and follows its changes; those of the settings stay. While the name cannot be
 * looked up, what was found last stays as well.
 */
final class SrvDiscovery implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(SrvDiscovery.class);

    private static final Duration LONGEST_LOOK_UP = Duration.ofSeconds(20);

    private record Found(int priority, int weight, URI endpoint) {}

    private final String name;
    private final Duration interval;
    private final String scheme;
    private final List<URI> configured;
    private final ServiceEndpoints endpoints;
    private final DnsNameResolver resolver;
    private final Disposable.Swap running = Disposables.swap();
    private Set<URI> known = Set.of();

    /**
     * A discovery that does nothing until it is started.
     *
     * @param settings of the service, with a name to look up
     * @param name that name
     * @param endpoints told of what is found
     * @param loops where look-ups run
     * @param servers the name servers to ask
     */
    SrvDiscovery(
            ExternalServiceSettings settings,
            String name,
            ServiceEndpoints endpoints,
            LoopResources loops,
            DnsServerAddressStreamProvider servers) {
        this.name = name;
        this.interval = settings.discovery().refreshInterval();
        this.scheme = settings.allowInsecureHttp() ? "http" : "https";
        this.configured = settings.endpoints().stream().map(URI::create).toList();
        this.endpoints = endpoints;
        EventLoopGroup group = loops.onClient(true);
        this.resolver = new DnsNameResolverBuilder(group.next())
                .datagramChannelFactory(() -> loops.onChannel(DatagramChannel.class, group))
                .nameServerProvider(servers)
                .resolveCache(NoopDnsCache.INSTANCE)
                .build();
    }

    void start(Scheduler scheduler) {
        running.update(Flux.interval(Duration.ZERO, interval, scheduler)
                .onBackpressureDrop()
                .concatMap(
                        tick -> lookUp().doOnNext(this::found).onErrorResume(failure -> {
                            log.warn(
                                    "The proxy service's SRV record {} cannot be looked up ({}); {} endpoint(s) stay",
                                    name,
                                    failure.getClass().getSimpleName(),
                                    endpoints.all().size());
                            endpoints.lookedUp();
                            return Mono.empty();
                        }),
                        1)
                .subscribe());
    }

    private Mono<List<Found>> lookUp() {
        return Mono.<List<Found>>create(sink -> resolver.resolveAll(new DefaultDnsQuestion(name, DnsRecordType.SRV))
                        .addListener((Future<List<DnsRecord>> done) -> {
                            if (done.isSuccess()) {
                                sink.success(parsed(done.getNow()));
                            } else {
                                sink.error(done.cause());
                            }
                        }))
                .timeout(LONGEST_LOOK_UP);
    }

    private List<Found> parsed(List<DnsRecord> records) {
        List<Found> found = new ArrayList<>();
        for (DnsRecord record : records) {
            try {
                if (record instanceof DnsRawRecord raw && record.type().equals(DnsRecordType.SRV)) {
                    parse(raw.content(), found);
                }
            } catch (RuntimeException broken) {
                log.warn("A record of {} is not a valid SRV record, and is left out", name);
            } finally {
                ReferenceCountUtil.release(record);
            }
        }
        return found;
    }

    private void parse(ByteBuf content, List<Found> found) {
        int priority = content.readUnsignedShort();
        int weight = content.readUnsignedShort();
        int port = content.readUnsignedShort();
        String target = DefaultDnsRecordDecoder.decodeName(content);
        String host = target.endsWith(".") ? target.substring(0, target.length() - 1) : target;
        if (!host.isEmpty()) { // "." says that there is no such service
            found.add(new Found(priority, weight, URI.create(scheme + "://" + host + ":" + port)));
        }
    }

    private void found(List<Found> found) {
        Set<URI> all = new LinkedHashSet<>(configured);
        found.stream()
                .sorted(Comparator.comparingInt(Found::priority)
                        .thenComparing(Comparator.comparingInt(Found::weight).reversed()))
                .map(Found::endpoint)
                .forEach(all::add);
        if (!all.equals(known) && !all.isEmpty()) {
            log.info("The proxy service's endpoints are now {} (SRV record {})", all, name);
            known = all;
            int best = found.stream().mapToInt(Found::priority).min().orElse(0);
            endpoints.replace(
                    all,
                    configured.isEmpty()
                            ? (int) found.stream()
                                    .filter(one -> one.priority() == best)
                                    .count()
                            : configured.size());
        }
        endpoints.lookedUp();
    }

    @Override
    public void close() {
        running.dispose();
        resolver.close();
    }
}
