package io.egressproxy.service;

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
import io.netty.resolver.dns.DnsServerAddressStreamProvider;
import io.netty.resolver.dns.SingletonDnsServerAddressStreamProvider;
import io.netty.util.NetUtil;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** A real name server, over UDP, that says the same of every name. */
final class NameServer implements AutoCloseable {
    record Srv(int priority, int weight, int port, String target) {}

    /** A record that ends too early. */
    static final Srv BROKEN = new Srv(0, 0, -1, "");

    private static final int TTL_SECONDS = 3_600;

    volatile List<Srv> records = List.of();
    volatile @Nullable String address;
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
                                .addLast(new DatagramDnsQueryDecoder(), new DatagramDnsResponseEncoder(), answering());
                    }
                })
                .bind(new InetSocketAddress("127.0.0.1", 0))
                .syncUninterruptibly()
                .channel();
    }

    /** For clients that ask this server. */
    DnsServerAddressStreamProvider only() {
        return new SingletonDnsServerAddressStreamProvider(
                (InetSocketAddress) Objects.requireNonNull(channel.localAddress()));
    }

    private SimpleChannelInboundHandler<DatagramDnsQuery> answering() {
        return new SimpleChannelInboundHandler<>() {
            @Override
            protected void channelRead0(ChannelHandlerContext ctx, DatagramDnsQuery query) {
                DatagramDnsResponse response = new DatagramDnsResponse(query.recipient(), query.sender(), query.id());
                DnsQuestion question = query.recordAt(DnsSection.QUESTION);
                response.addRecord(DnsSection.QUESTION, question);
                String ip = address;
                if (broken) {
                    response.setCode(DnsResponseCode.SERVFAIL);
                } else if (question.type().equals(DnsRecordType.SRV)) {
                    records.forEach(srv -> answer(response, question, content(srv)));
                } else if (question.type().equals(DnsRecordType.A) && ip != null) {
                    byte[] bytes = Objects.requireNonNull(NetUtil.createByteArrayFromIpAddressString(ip));
                    answer(response, question, Unpooled.wrappedBuffer(bytes));
                }
                ctx.writeAndFlush(response);
            }
        };
    }

    private static void answer(DatagramDnsResponse response, DnsQuestion question, ByteBuf content) {
        response.addRecord(
                DnsSection.ANSWER, new DefaultDnsRawRecord(question.name(), question.type(), TTL_SECONDS, content));
    }

    private static ByteBuf content(Srv srv) {
        ByteBuf content = Unpooled.buffer();
        content.writeShort(srv.priority()).writeShort(srv.weight());
        if (srv.equals(BROKEN)) {
            return content;
        }
        content.writeShort(srv.port());
        for (String label : srv.target().split("\\.")) {
            content.writeByte(label.length()).writeBytes(label.getBytes(StandardCharsets.US_ASCII));
        }
        return content.writeByte(0);
    }

    @Override
    public void close() {
        channel.close().syncUninterruptibly();
        loops.shutdownGracefully(0, 0, TimeUnit.SECONDS);
    }
}
