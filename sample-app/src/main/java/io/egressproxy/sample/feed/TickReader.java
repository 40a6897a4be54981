package io.egressproxy.sample.feed;

import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.json.JsonParseException;
import org.springframework.boot.json.JsonParser;
import org.springframework.boot.json.JsonParserFactory;
import org.springframework.stereotype.Component;

/** Reads what it can from an answer. It never fails: every exchange has its own JSON, and this is no trading system. */
@Component
final class TickReader {

    private static final int RAW_LIMIT = 120;

    private final JsonParser json = JsonParserFactory.getJsonParser();

    Tick read(String answer) {
        Map<String, Object> fields = parse(answer);
        String price = text(fields, "price");
        return new Tick(
                text(fields, "symbol"), price, text(fields, "seenFrom"), price == null ? shorten(answer) : null);
    }

    private Map<String, Object> parse(String answer) {
        try {
            return json.parseMap(answer);
        } catch (JsonParseException noObject) {
            return Map.of();
        }
    }

    private static @Nullable String text(Map<String, Object> fields, String name) {
        Object value = fields.get(name);
        return value instanceof String || value instanceof Number ? value.toString() : null;
    }

    private static String shorten(String answer) {
        // Control characters would let a target write log lines of its own.
        String line = answer.replaceAll("\\p{Cntrl}+", " ").strip();
        return line.length() <= RAW_LIMIT ? line : line.substring(0, RAW_LIMIT - 1) + "…";
    }
}
