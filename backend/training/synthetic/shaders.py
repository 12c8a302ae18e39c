"""The renderer's GLSL programs.

Light and shadow are worked out at the vertices: the heads' triangles are no larger than a few pixels, and Mesa's
software renderer shades sixteen pixels for each of them.
"""

# Light wraps around skin farther in red than in blue, as it does when it scatters inside. The square root is sRGB's
# curve, nearly.
VERTEX = """
#version 330
const int LAMPS = 3;
uniform mat4 clip_from_camera;
uniform vec3 lamp_direction[LAMPS];
uniform vec3 lamp_color[LAMPS];
uniform vec3 ambient[4];
uniform float gloss;
uniform mat4 clip_from_lamp;
uniform float shadow;
uniform float penumbra;
uniform sampler2D lamp_depth;
in vec3 position;
in vec3 normal;
in vec2 uv;
in float wet;
in float amount;
uniform bool two_sided;
out vec3 v_light;
out vec3 v_shine;
out vec2 v_uv;
out float v_amount;
// How much of the first lamp reaches a place that looks along n: the share of 5 x 5 texels about it in which nothing
// nearer to the lamp was drawn. Lest a surface shade itself, it is asked 3 mm above, less 1.5 % of the lamp's reach.
float lit(vec3 n) {
    vec3 place = 0.5 * (clip_from_lamp * vec4(position + 0.003 * n, 1.0)).xyz + 0.5;
    float share = 0.0;
    for (int y = -2; y <= 2; ++y)
        for (int x = -2; x <= 2; ++x)
            share += step(place.z - 0.0075, textureLod(lamp_depth, place.xy + penumbra * vec2(x, y), 0.0).r);
    return mix(1.0, share / 25.0, shadow);
}
void main() {
    vec3 view = normalize(-position);
    vec3 n = two_sided && dot(normal, view) < 0.0 ? -normal : normal;
    v_amount = amount;
    vec3 light = max(ambient[0] + ambient[1] * n.x + ambient[2] * n.y + ambient[3] * n.z, vec3(0.02));
    vec3 shine = vec3(0.0);
    vec3 wrap = vec3(0.30, 0.18, 0.14);
    float power = mix(20.0, 300.0, wet * wet);
    float first = lit(n);
    for (int i = 0; i < LAMPS; ++i) {
        vec3 color = lamp_color[i] * (i == 0 ? first : 1.0);
        light += color * max(vec3(0.0), (dot(n, lamp_direction[i]) + wrap) / (1.0 + wrap));
        float lobe = max(0.0, dot(n, normalize(lamp_direction[i] + view)));
        shine += color * exp2(power * (lobe - 1.0));
    }
    v_light = light;
    v_shine = shine * gloss * wet;
    v_uv = uv;
    gl_Position = clip_from_camera * vec4(position, 1.0);
}
"""

FRAGMENT = """
#version 330
uniform vec3 tint;
uniform float opacity;
uniform sampler2D image;
in vec3 v_light;
in vec3 v_shine;
in vec2 v_uv;
out vec4 fragment;
void main() {
    vec4 texel = texture(image, v_uv);
    vec3 color = texel.rgb * texel.rgb * mix(vec3(1.0), tint, texel.a) * v_light + v_shine;
    fragment = vec4(sqrt(clamp(color, 0.0, 1.0)), opacity);
}
"""

# Hair and beards end where ``amount`` falls below a half, a strand (the texture's fourth channel) sooner or later.
STRANDS_FRAGMENT = """
#version 330
uniform vec3 tint;
uniform float ragged;
uniform sampler2D image;
in vec3 v_light;
in vec3 v_shine;
in vec2 v_uv;
in float v_amount;
out vec4 fragment;
void main() {
    vec4 texel = texture(image, v_uv);
    if (v_amount + ragged * (texel.a - 0.5) < 0.5) discard;
    vec3 color = texel.rgb * texel.rgb * (tint * v_light + v_shine);
    fragment = vec4(sqrt(clamp(color, 0.0, 1.0)), 1.0);
}
"""

DEPTH_VERTEX = """
#version 330
uniform mat4 clip_from_camera;
in vec3 position;
void main() { gl_Position = clip_from_camera * vec4(position, 1.0); }
"""

DEPTH_FRAGMENT = """
#version 330
void main() {}
"""

STRANDS_DEPTH_VERTEX = """
#version 330
uniform mat4 clip_from_camera;
in vec3 position;
in float amount;
out float v_amount;
void main() {
    v_amount = amount;
    gl_Position = clip_from_camera * vec4(position, 1.0);
}
"""

STRANDS_DEPTH_FRAGMENT = """
#version 330
in float v_amount;
void main() { if (v_amount < 0.5) discard; }
"""

BACKDROP_VERTEX = """
#version 330
in vec2 corner;
out vec2 v_uv;
void main() {
    v_uv = 0.5 * corner + 0.5;
    gl_Position = vec4(corner, 0.0, 1.0);
}
"""

BACKDROP_FRAGMENT = """
#version 330
uniform sampler2D image;
in vec2 v_uv;
out vec4 fragment;
void main() { fragment = vec4(texture(image, v_uv).rgb, 0.0); }
"""
