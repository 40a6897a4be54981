package io.egressproxy.service;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Map;
import java.util.zip.GZIPOutputStream;
import org.springframework.core.ResolvableType;
import org.springframework.core.codec.Encoder;
import org.springframework.core.io.buffer.DataBuffer;
import org.springframework.core.io.buffer.DefaultDataBufferFactory;
import org.springframework.http.MediaType;
import org.springframework.http.codec.EncoderHttpMessageWriter;
import org.springframework.http.codec.HttpMessageWriter;
import org.springframework.web.reactive.function.client.ExchangeStrategies;

/**
 * JSON as bytes, by the same encoder as everywhere, whichever Jackson it belongs to; here rather than on the event loop that
 * sends them, since hundreds of reports and their compression take a while.
 */
final class JsonBytes {
    private final ExchangeStrategies strategies = ExchangeStrategies.withDefaults();

    byte[] encode(Object value) {
        ResolvableType type = ResolvableType.forClass(value.getClass());
        DataBuffer buffer = encoder(type)
                .encodeValue(
                        value, DefaultDataBufferFactory.sharedInstance, type, MediaType.APPLICATION_JSON, Map.of());
        byte[] bytes = new byte[buffer.readableByteCount()];
        buffer.read(bytes);
        return bytes;
    }

    @SuppressWarnings("unchecked") // it says that it can encode the type
    private Encoder<Object> encoder(ResolvableType type) {
        for (HttpMessageWriter<?> writer : strategies.messageWriters()) {
            Encoder<?> encoder = writer instanceof EncoderHttpMessageWriter<?> encoding ? encoding.getEncoder() : null;
            if (encoder != null && encoder.canEncode(type, MediaType.APPLICATION_JSON)) {
                return (Encoder<Object>) encoder;
            }
        }
        throw new IllegalStateException("there is no JSON encoder on the class path; add spring-boot-starter-json");
    }

    static byte[] gzip(byte[] bytes) {
        ByteArrayOutputStream compressed = new ByteArrayOutputStream(bytes.length / 4);
        try (GZIPOutputStream gzip = new GZIPOutputStream(compressed)) {
            gzip.write(bytes);
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
        return compressed.toByteArray();
    }
}
