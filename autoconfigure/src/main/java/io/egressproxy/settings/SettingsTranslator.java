package io.egressproxy.settings;

import io.egressproxy.ExchangeId;
import io.egressproxy.settings.SettingsSchema.FreeNode;
import io.egressproxy.settings.SettingsSchema.KnownKey;
import io.egressproxy.settings.SettingsSchema.LeafNode;
import io.egressproxy.settings.SettingsSchema.ListNode;
import io.egressproxy.settings.SettingsSchema.MapNode;
import io.egressproxy.settings.SettingsSchema.ObjectNode;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.source.ConfigurationPropertyName;
import org.springframework.boot.json.JsonParser;
import org.springframework.boot.json.JsonParserFactory;
import org.springframework.boot.origin.Origin;

/**
 * Turns settings as users write them into settings as they are bound: resolves spellings, the older shapes ({@code
 * pool.proxies}, {@code rest}, {@code ws}, a bare string for a proxy), JSON values, and explicit nulls, and finds keys
 * that do not exist.
 *
 * <p>Spring Boot's own binder would see a YAML null as an empty text, which it either refuses or takes for an empty object
 * (research: an empty object hides the default, and the connection would be direct). Here nothing and null are the same.
 */
final class SettingsTranslator {
    private static final ConfigurationPropertyName ROOT = ConfigurationPropertyName.of(ProxyProperties.PREFIX);

    private final ObjectNode schema = SettingsSchema.ROOT;
    private final Map<ExchangeId, String> spellings = new HashMap<>();
    private final List<SettingsProblem> problems = new ArrayList<>();

    /** Settings of one source. Ids of one exchange must be spelled alike inside it. */
    final class Session {
        private final TranslatedSource source = new TranslatedSource();
        private final Map<ConfigurationPropertyName, Map<String, Object>> free = new LinkedHashMap<>();
        private final Map<ConfigurationPropertyName, Optional<Origin>> freeOrigins = new HashMap<>();
        private final Map<ExchangeId, String> ownSpellings = new HashMap<>();
        private final boolean spellingsAreFree;

        /**
         * Starts a source.
         *
         * @param spellingsAreFree whether names have lost their case, as in the environment
         */
        Session(boolean spellingsAreFree) {
            this.spellingsAreFree = spellingsAreFree;
        }

        TranslatedSource source() {
            free.forEach((name, values) -> values.forEach((key, value) -> source.add(
                    name.append("[" + key + "]"),
                    listsRestored(value),
                    freeOrigins.getOrDefault(name, Optional.empty()).orElse(null))));
            return source;
        }

        /**
         * Adds what one property says.
         *
         * @param path the elements of its name below {@code proxy}
         * @param value its value
         * @param origin where it stands
         */
        void add(List<String> path, Object value, @Nullable Origin origin) {
            walk(schema, ROOT, ROOT, path, 0, value, origin);
        }

        private void walk(
                SettingsSchema node,
                ConfigurationPropertyName parent,
                ConfigurationPropertyName name,
                List<String> path,
                int depth,
                Object value,
                @Nullable Origin origin) {
            if (depth == path.size()) {
                value(node, parent, name, value, origin);
                return;
            }
            String element = path.get(depth);
            if (node instanceof ObjectNode object) {
                KnownKey key = object.key(element);
                if (key == null) {
                    unknown(object, name, path, depth, origin);
                } else {
                    walk(key.node(), name, name.append(key.name()), path, depth + 1, value, origin);
                }
            } else if (node instanceof MapNode map) {
                ConfigurationPropertyName below = name.append("[" + exchange(element, name, origin) + "]");
                walk(map.value(), name, below, path, depth + 1, value, origin);
            } else if (node instanceof FreeNode) {
                free(name, path.subList(depth, path.size()), value, origin);
            } else if (node instanceof ListNode list) {
                element(list, parent, name, path, depth, value, origin);
            } else {
                problem(name + "." + safe(element), "is not a known key: " + name + " is a value", origin);
            }
        }

        private void element(
                ListNode list,
                ConfigurationPropertyName parent,
                ConfigurationPropertyName name,
                List<String> path,
                int depth,
                Object value,
                @Nullable Origin origin) {
            String element = path.get(depth);
            if (element.chars().allMatch(Character::isDigit)) {
                walk(list.element(), name, name.append("[" + element + "]"), path, depth + 1, value, origin);
                return;
            }
            String legacy = list.isPool() ? SettingsSchema.uniform(element) : "";
            if (legacy.equals("proxies")) { // pool: {proxies: [...], strategy: ...}
                walk(list, parent, name, path, depth + 1, value, origin);
            } else if (legacy.equals("strategy") && depth == path.size() - 1) {
                emit(parent.append("strategy"), value, origin);
            } else {
                problem(
                        name + "." + safe(element),
                        "is not a known key: " + name + " is a list, write its entries below it with '-'",
                        origin);
            }
        }

        /** What stands below a free key is kept as it is, lists and all, and bound as one value. */
        private void free(ConfigurationPropertyName name, List<String> path, Object value, @Nullable Origin origin) {
            Map<String, Object> below = free.computeIfAbsent(name, ignored -> new LinkedHashMap<>());
            freeOrigins.putIfAbsent(name, Optional.ofNullable(origin));
            for (String element : path.subList(0, path.size() - 1)) {
                below = child(below, element);
            }
            below.put(path.get(path.size() - 1), value);
        }

        @SuppressWarnings("unchecked")
        private static Map<String, Object> child(Map<String, Object> parent, String key) {
            Object present = parent.get(key);
            Map<String, Object> child =
                    present instanceof Map<?, ?> map ? (Map<String, Object>) map : new LinkedHashMap<>();
            parent.put(key, child);
            return child;
        }

        /** Numbered elements are a list. */
        private static Object listsRestored(Object value) {
            if (!(value instanceof Map<?, ?> map)) {
                return value;
            }
            boolean numbered =
                    !map.isEmpty() && IntStream.range(0, map.size()).allMatch(i -> map.containsKey(String.valueOf(i)));
            if (numbered) { // sources need not name them in their order
                return IntStream.range(0, map.size())
                        .mapToObj(i -> listsRestored(Objects.requireNonNull(map.get(String.valueOf(i)))))
                        .toList();
            }
            Map<Object, Object> restored = new LinkedHashMap<>();
            map.forEach((key, child) -> restored.put(key, listsRestored(child)));
            return restored;
        }

        private void value(
                SettingsSchema node,
                ConfigurationPropertyName parent,
                ConfigurationPropertyName name,
                Object value,
                @Nullable Origin origin) {
            if (value instanceof Map<?, ?> map) {
                map.forEach((key, child) -> add(node, parent, name, String.valueOf(key), child, origin));
                return;
            }
            if (value instanceof Collection<?> list && !(node instanceof LeafNode) && !list.isEmpty()) {
                int index = 0;
                for (Object child : list) {
                    add(node, parent, name, String.valueOf(index++), child, origin);
                }
                return;
            }
            String text = value instanceof Collection<?> ? "" : value.toString();
            if (node instanceof FreeNode) {
                if (isJson(text)) {
                    json(node, parent, name, text, origin);
                }
            } else if (text.equals("null") && !(node instanceof LeafNode)) { // of JSON in a variable: inherits
                return;
            } else if (node instanceof LeafNode) {
                if (!text.isEmpty()) {
                    emit(name, value, origin);
                }
            } else if (isJson(text)) {
                json(node, parent, name, text, origin);
            } else if (node instanceof ListNode list) {
                list(list, name, text, origin);
            } else if (!text.isBlank()) {
                text(node, name, text, origin);
            }
        }

        private void add(
                SettingsSchema node,
                ConfigurationPropertyName parent,
                ConfigurationPropertyName name,
                String key,
                @Nullable Object child,
                @Nullable Origin origin) {
            walk(node, parent, name, List.of(key), 0, child == null ? "" : child, origin);
        }

        private void list(ListNode list, ConfigurationPropertyName name, String text, @Nullable Origin origin) {
            if (!list.isPool() || text.isBlank()) {
                emit(name, text, origin);
                return;
            }
            String[] urls = text.split(",");
            for (int i = 0; i < urls.length; i++) {
                emit(name.append("[" + i + "]").append("url"), urls[i].strip(), origin);
            }
        }

        private void text(SettingsSchema node, ConfigurationPropertyName name, String text, @Nullable Origin origin) {
            boolean proxy = node instanceof ObjectNode object
                    && (object.type() == ProxyEntry.class || object.type() == PoolMember.class);
            if (proxy) {
                emit(name.append("url"), text, origin);
            } else if (node instanceof ObjectNode object) {
                problem(name.toString(), "has a value, but needs keys: " + keys(object), origin);
            } else {
                problem(name.toString(), "has a value, but needs the ids of exchanges as keys", origin);
            }
        }

        private void json(
                SettingsSchema node,
                ConfigurationPropertyName parent,
                ConfigurationPropertyName name,
                String text,
                @Nullable Origin origin) {
            try {
                JsonParser json = JsonParserFactory.getJsonParser(); // here, since most trees need none
                Object parsed = text.strip().startsWith("{") ? json.parseMap(text) : json.parseList(text);
                value(node, parent, name, parsed, origin);
            } catch (IllegalArgumentException | ClassCastException invalid) {
                // the cause quotes the text, which may hold a password
                problem(name.toString(), "is not valid JSON; check its quotes, commas and brackets", origin);
            }
        }

        private void emit(ConfigurationPropertyName name, Object value, @Nullable Origin origin) {
            if (!source.add(name, value, origin)) {
                problem(name.toString(), "is set twice in the same place, in two spellings; remove one", origin);
            }
        }

        /** One spelling for each exchange, so that the environment can override what a file says. */
        private String exchange(String written, ConfigurationPropertyName parent, @Nullable Origin origin) {
            ExchangeId id;
            try {
                id = ExchangeId.of(written);
            } catch (IllegalArgumentException invalid) {
                problem(parent + "." + safe(written), "is no exchange id: " + invalid.getMessage(), origin);
                return "invalid";
            }
            String own = ownSpellings.putIfAbsent(id, written);
            if (own != null && !own.equals(written) && !spellingsAreFree) {
                problem(
                        parent + "." + written,
                        "is the same exchange as '" + own + "', since case and punctuation do not count; merge them",
                        origin);
                return written;
            }
            return spellings.computeIfAbsent(id, ignored -> written);
        }
    }

    /**
     * What cannot be bound.
     *
     * @return the problems found so far
     */
    List<SettingsProblem> problems() {
        return problems;
    }

    private static boolean isJson(String text) {
        String stripped = text.strip();
        return (stripped.startsWith("{") && stripped.endsWith("}"))
                || (stripped.startsWith("[") && stripped.endsWith("]"));
    }

    private void unknown(
            ObjectNode object, ConfigurationPropertyName name, List<String> path, int depth, @Nullable Origin origin) {
        String element = path.get(depth);
        String property = name + "." + safe(element);
        boolean dotted = object.type() == ExchangeSettings.class
                && depth + 1 < path.size()
                && object.key(path.get(depth + 1)) != null;
        if (dotted) {
            problem(
                    property,
                    "is not a known key; an exchange id with a dot stands in brackets and quotes: \"["
                            + safe(path.get(depth - 1)) + "." + safe(element) + "]\"",
                    origin);
            return;
        }
        String hint = Spelling.nearest(
                        element,
                        object.keys().values().stream().map(KnownKey::name).toList())
                .map(nearest -> "did you mean " + name + "." + nearest + "?")
                .orElseGet(() -> "use " + keys(object));
        problem(property, "is not a known key; " + hint, origin);
    }

    private static String keys(ObjectNode object) {
        return String.join(
                ", ", object.keys().values().stream().map(KnownKey::name).toList());
    }

    private void problem(String property, String message, @Nullable Origin origin) {
        boolean known = problems.stream()
                .anyMatch(other ->
                        other.property().equals(property) && other.message().equals(message));
        if (!known) { // a wrong key in the middle is met once for each value below it
            problems.add(new SettingsProblem(property, message, origin == null ? null : origin.toString()));
        }
    }

    /** A key as it was written, unless it is so odd that it could be a URL or a secret in the wrong place. */
    private static String safe(String element) {
        return element.matches("[A-Za-z0-9_.-]{1,64}") ? element.toLowerCase(Locale.ROOT) : "***";
    }
}
