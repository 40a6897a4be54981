package io.egressproxy.testkit;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Assumptions;

/**
 * A port whose connection attempts are neither accepted nor refused: a listening socket that never accepts, its queue
 * filled, so that Linux drops every further SYN. Unlike a frozen program, which the kernel goes on accepting for.
 */
public final class SynBlackHole implements AutoCloseable {

    private static final int QUEUE = 1;
    private static final int ENOUGH = 8;
    private static final int TIMEOUT_MILLIS = 300;

    private final ServerSocket server;
    private final List<Socket> fillers = new ArrayList<>();

    private SynBlackHole() throws IOException {
        InetAddress host = InetAddress.getByName(LoopbackPorts.HOST);
        this.server = new ServerSocket(LoopbackPorts.free(), QUEUE, host);
    }

    /** Fills a queue until an attempt to connect times out; skips the test visibly if none ever does. */
    public static SynBlackHole open() throws IOException {
        SynBlackHole hole = new SynBlackHole();
        for (int i = 0; i < ENOUGH; i++) {
            if (!hole.takesAnother()) {
                return hole;
            }
        }
        hole.close();
        return Assumptions.abort("Needs a kernel that drops connection attempts to a full queue");
    }

    public String host() {
        return LoopbackPorts.HOST;
    }

    public int port() {
        return server.getLocalPort();
    }

    @Override
    public void close() throws IOException {
        for (Socket filler : fillers) {
            filler.close();
        }
        server.close();
    }

    private boolean takesAnother() throws IOException {
        Socket filler = new Socket();
        fillers.add(filler);
        try {
            filler.connect(new InetSocketAddress(LoopbackPorts.HOST, port()), TIMEOUT_MILLIS);
            return true;
        } catch (SocketTimeoutException e) {
            return false;
        }
    }
}
