package io.egressproxy.service;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.egressproxy.settings.ExternalServiceSettings;
import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.nio.NioDatagramChannel;
import io.netty.handler.codec.dns.DatagramDnsQuery;
import io.netty.handler.codec.dns.DatagramDnsQueryDecoder;
import io.netty.handler.codec.dns.DatagramDnsResponse;
import io.netty.handler.codec.dns.DatagramDnsResponseEncoder;
import io.netty.handler.codec.dns.DefaultDnsRawRecord;
import io.netty.handler.codec.dns.DnsQuestion;
import io.netty.handler.codec.dns.DnsRecordType;
import io.netty.handler.codec.dns.DnsResponseCode;
import io.netty.handler.codec.dns.DnsSection;
import io.netty.resolver.dns.SingletonDnsServerAddressStreamProvider;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.scheduler.Schedulers;
import reactor.netty.http.HttpResources;

@Tag("FR-4")
class SrvDiscoveryTests {
    private static final Duration PATIENCE = Duration.ofSeconds(10);

    private record Srv(int priority, int weight, int port, String target) {}

    /** A real name server, over UDP, for one name. */
    private static final class NameServer implements AutoCloseable {
        volatile List<Srv> records = List.of();
        volatile boolean broken;
        private final NioEventLoopGroup loops = new NioEventLoopGroup(1);
        private final Channel channel;

        NameServer() {
            channel = new Bootstrap()
                    .group(loops)
                    .channel(NioDatagramChannel.class)
                    .handler(new ChannelInitializer<>() {
                        @Override
                        protected void initChannel(Channel created) {
                            created.pipeline()
                                    .addLast(
                                            new DatagramDnsQueryDecoder(),
                                            new DatagramDnsResponseEncoder(),
                                            answering());
                        }
                    })
                    .bind(new InetSocketAddress("127.0.0.1", 0))
                    .syncUninterruptibly()
                    .channel();
        }

        InetSocketAddress address() {
            return (InetSocketAddress) Objects.requireNonNull(channel.localAddress());
        }

        private SimpleChannelInboundHandler<DatagramDnsQuery> answering() {
            return new SimpleChannelInboundHandler<>() {
                @Override
                protected void channelRead0(ChannelHandlerContext ctx, DatagramDnsQuery query) {
                    DatagramDnsResponse response =
                            new DatagramDnsResponse(query.recipient(), query.sender(), query.id());
                    DnsQuestion question = query.recordAt(DnsSection.QUESTION);
                    response.addRecord(DnsSection.QUESTION, question);
                    if (broken) {
                        response.setCode(DnsResponseCode.SERVFAIL);
                    } else {
                        records.forEach(srv -> response.addRecord(
                                DnsSection.ANSWER,
                                new DefaultDnsRawRecord(question.name(), DnsRecordType.SRV, 1, content(srv))));
                    }
                    ctx.writeAndFlush(response);
                }
            };
        }

        private static ByteBuf content(Srv srv) {
            ByteBuf content = Unpooled.buffer();
            content.writeShort(srv.priority()).writeShort(srv.weight()).writeShort(srv.port());
            for (String label : srv.target().split("\\.")) {
                content.writeByte(label.length()).writeBytes(label.getBytes(StandardCharsets.US_ASCII));
            }
            return content.writeByte(0);
        }

        @Override
        public void close() {
            channel.close().syncUninterruptibly();
            loops.shutdownGracefully(0, 0, java.util.concurrent.TimeUnit.SECONDS);
        }
    }

    private static List<String> urls(ServiceEndpoints endpoints) {
        return endpoints.all().stream()
                .map(ServiceEndpoints.Endpoint::url)
                .map(URI::toString)
                .toList();
    }

    @Test
    void endpointsAreThoseOfTheRecordByPriorityAndWeightAndFollowItsChanges() {
        try (NameServer server = new NameServer();
                ServiceLab lab = new ServiceLab(0)) {
            server.records = List.of(
                    new Srv(20, 1, 8443, "third.example.org"),
                    new Srv(10, 1, 8443, "second.example.org"),
                    new Srv(10, 9, 443, "first.example.org"));
            ExternalServiceSettings settings = lab.settings(
                            "proxy.external-service.endpoints=https://fixed.example.org",
                            "proxy.external-service.discovery.srv-name=_proxy._tcp.example.org",
                            "proxy.external-service.discovery.refresh-interval=1s")
                    .externalService();
            ServiceEndpoints endpoints = new ServiceEndpoints(List.of(), "tests", System::nanoTime);
            try (SrvDiscovery discovery = new SrvDiscovery(
                    settings,
                    "_proxy._tcp.example.org",
                    endpoints,
                    HttpResources.get(),
                    new SingletonDnsServerAddressStreamProvider(server.address()))) {
                discovery.start(Schedulers.parallel());
                await().atMost(PATIENCE).untilAsserted(() -> assertThat(urls(endpoints))
                        .containsExactly(
                                "https://fixed.example.org",
                                "https://first.example.org:443",
                                "https://second.example.org:8443",
                                "https://third.example.org:8443"));

                server.records = List.of(new Srv(1, 1, 443, "moved.example.org"));
                await().atMost(PATIENCE).untilAsserted(() -> assertThat(urls(endpoints))
                        .containsExactly("https://fixed.example.org", "https://moved.example.org:443"));

                server.broken = true;
                server.records = List.of();
                await().pollDelay(Duration.ofSeconds(2)).atMost(PATIENCE).untilAsserted(() -> assertThat(
                                urls(endpoints))
                        .as("what was found last stays")
                        .hasSize(2));
            }
        }
    }
}
