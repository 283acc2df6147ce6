"""The base models: one row each, with the layers of the model and their widths.

The notation is that of `base_layers`. One row has the names of every spelling: the original code's,
diffusers', and those of trainers with their own.

Rows without a word stand for models that have no value of `architecture`. They are here because
their layers are those of a listed model, so that a file which may be either is not told.

Sources: the code of each model, its classes in diffusers, and the trainers' conversions between them.
"""

from collections.abc import Mapping
from typing import Final

from crawler.decode.tensors.base_layers import Base

# Joint attention over image and text, then blocks that compute attention and feed-forward in one.

_JOINT = "d>d attn_to_{q,k,v,out,add_out} attn_add_{q,k,v}_proj; d>3d attn_to_{qkv,added_qkv};"
_JOINT_FF = "d>4d {ff,ff_context}_net_0_proj; 4d>d {ff,ff_context}_net_2;"
_JOINT_NORMS = "d>6d norm1_linear norm1_context_linear;"
_SINGLE = "d>d attn_to_{q,k,v}; d>3d attn_to_qkv;"
_SINGLE_FF = "d>4d proj_mlp; 5d>d proj_out;"
_SINGLE_NORM = "d>3d norm_linear;"

_DOUBLE = """
    d>3d {img,txt}_attn_qkv; d>d {img,txt}_attn_proj {img,txt}_attn_qkv_{0,1,2};
    d>3d qkv_lora{1,2}; d>d proj_lora{1,2};
"""
_DOUBLE_FF = "d>4d {img,txt}_mlp_0; 4d>d {img,txt}_mlp_2;"
_LINEAR = "d>7d linear1; d>d linear1_{0,1,2}; d>4d linear1_3; 5d>d linear2;"

_FLUX = {
    "transformer_blocks 19": _JOINT + _JOINT_FF,
    "single_transformer_blocks 38": _SINGLE + _SINGLE_FF,
    "double_blocks 19": _DOUBLE + _DOUBLE_FF,
    "single_blocks 38": _LINEAR,
}
#: Further conditions (Fill, Canny, Depth) widen the input of the image.
_FLUX_ENDS = "*>d x_embedder img_in img_in_proj; 4096>d context_embedder txt_in;"


def _with(stacks: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """The stacks with further layers, or further stacks."""
    return {name: stacks.get(name, "") + more.get(name, "") for name in {**stacks, **more}}


def _flux_like(doubles: int, singles: int, text: str = "4096", *, more: str = "") -> Base:
    """A model with the layers of Flux.1 in diffusers, and other numbers of blocks."""
    return Base(
        None,
        {"d": 3072},
        {
            f"transformer_blocks {doubles}": _JOINT + _JOINT_FF + _JOINT_NORMS + more,
            f"single_transformer_blocks {singles}": _SINGLE + _SINGLE_FF + _SINGLE_NORM + more,
            "": f"*>d x_embedder; {text}>d context_embedder;"
            "*>d time_embed_timestep_embedder_linear_{1,2}",
        },
    )


def _twins(doubles: int, singles: int, ends: str = "") -> tuple[Base, ...]:
    """A model with the layers and the numbers of blocks of a listed one.

    It is taken for the listed one, which is far more common, when a file changes the attention and the
    feed-forward of both stacks. Each of these rows lacks one of the four.
    """
    stacks = (
        (_JOINT + _JOINT_NORMS, _SINGLE + _SINGLE_NORM),
        (_JOINT_FF + _JOINT_NORMS, _SINGLE_FF + _SINGLE_NORM),
        (_JOINT + _JOINT_FF + _JOINT_NORMS, ""),
        ("", _SINGLE + _SINGLE_FF + _SINGLE_NORM),
    )
    return tuple(
        Base(
            None,
            {"d": 3072},
            {
                f"transformer_blocks {doubles}": double,
                f"single_transformer_blocks {singles}": single,
                "": ends,
            },
            since_peft=True,
        )
        for double, single in stacks
    )


_HUNYUAN_REFINER = """
    d>3d self_attn_qkv; d>d self_attn_{q,k,v,proj} self_attn_qkv_{0,1,2}; d>4d mlp_fc{0,1}; 4d>d mlp_fc2;
    d>2d adaLN_modulation_1 norm_out_linear; d>d attn_to_{q,k,v,out}; d>4d ff_net_0_proj; 4d>d ff_net_2
"""
_HUNYUAN_DOUBLE = """
    d>3d {img,txt}_attn_qkv; d>d {img,txt}_attn_{q,k,v,proj} {img,txt}_attn_qkv_{0,1,2};
    d>4d {img,txt}_mlp_fc{0,1}; 4d>d {img,txt}_mlp_fc2; d>6d {img,txt}_mod_linear;
"""


def _hunyuan(word: str | None, width: int, doubles: int, singles: int, more: str = "") -> Base:
    return Base(
        word,
        {"d": width},
        {
            f"transformer_blocks {doubles}": _JOINT + _JOINT_FF + _JOINT_NORMS,
            f"double_blocks {doubles}": _HUNYUAN_DOUBLE + more,
            f"single_transformer_blocks {singles}": _SINGLE + _SINGLE_FF + _SINGLE_NORM,
            f"single_blocks {singles}": _LINEAR + "d>3d modulation_linear",
            "context_embedder_token_refiner_refiner_blocks 2": _HUNYUAN_REFINER,
            "txt_in_individual_token_refiner_blocks 2": _HUNYUAN_REFINER,
            "": """
                *>d {time_embed,time_text_embed}_{timestep,text,guidance}_embedder_linear_{1,2};
                *>d vector_in_{in,out}_layer img_in_proj
            """,
        },
        encoders={2: 768},
    )


def _flux2(width: int, doubles: int, singles: int, text: int) -> Base:
    return Base(
        "flux2",
        {"d": width, "t": text},
        {
            f"transformer_blocks {doubles}": _JOINT
            + "d>6d {ff,ff_context}_linear_in; 3d>d {ff,ff_context}_linear_out",
            f"single_transformer_blocks {singles}": "d>9d attn_to_qkv_mlp_proj; 4d>d attn_to_out",
            f"double_blocks {doubles}": _DOUBLE + "d>6d {img,txt}_mlp_0; 3d>d {img,txt}_mlp_2",
            f"single_blocks {singles}": "d>9d linear1; 4d>d linear2",
            "": "t>d context_embedder txt_in; 128>d x_embedder img_in;"
            "d>6d double_stream_modulation_{img,txt}_{lin,linear};"
            "d>3d single_stream_modulation_{lin,linear}",
        },
    )


_SD3_BLOCK = (
    _JOINT
    + _JOINT_FF
    + _JOINT_NORMS
    + """
    d>9d norm1_linear; d>2d norm1_context_linear; d>d attn2_to_{q,k,v,out}; d>3d attn2_to_qkv
"""
)
_SD3_ORIGINAL = """
    d>3d {x,context}_block_attn_qkv x_block_attn2_qkv;
    d>d {x,context}_block_attn_{proj,qkv_0,qkv_1,qkv_2} x_block_attn2_{proj,qkv_0,qkv_1,qkv_2};
    d>4d {x,context}_block_mlp_fc1; 4d>d {x,context}_block_mlp_fc2;
    d>6d {x,context}_block_adaLN_modulation_1; d>2d context_block_adaLN_modulation_1;
    d>9d x_block_adaLN_modulation_1
"""


def _sd3(width: int, depth: int) -> Base:
    return Base(
        "sd3",
        {"d": width},
        {f"transformer_blocks {depth}": _SD3_BLOCK, f"joint_blocks {depth}": _SD3_ORIGINAL},
        encoders={0: 768, 1: 768, 2: 1280},
        since_peft=True,
    )


def _qwen(word: str | None, depth: int) -> Base:
    block = (
        _JOINT
        + """
        d>4d {img,txt}_mlp_net_0_proj; 4d>d {img,txt}_mlp_net_2; d>6d {img,txt}_mod_1
    """
    )
    return Base(word, {"d": 3072}, {f"transformer_blocks {depth}": block})


_WAN_BLOCK = """
    d>d {self,cross}_attn_{q,k,v,o} cross_attn_{k,v}_img;
    d>d attn{1,2}_to_{q,k,v,out} attn2_add_{k,v}_proj; d>3d attn1_to_qkv;
    d>2d attn2_to_kv attn2_to_added_kv; d>f ffn_0 ffn_net_0_proj; f>d ffn_2 ffn_net_2;
"""


_WAN_ANIMATE = "d>d {self,cross}_attn_to_{q,k,v,out} cross_attn_add_{k,v}_proj"


def _wan(width: int, depth: int, ff: int, more: str = "") -> Base:
    return Base(
        "wan",
        {"d": width, "f": ff},
        {f"blocks {depth}": _WAN_BLOCK + more,
         "vace_blocks 15": _WAN_BLOCK + "d>d before_proj after_proj proj_{in,out}",
         "face_adapter_fuser_blocks 8": "*>* linear1_{q,kv} linear2"},
    )  # fmt: skip


_LUMINA_BLOCK = """
    d>d {attention,attn}_{out,to_q,to_out}; d>k {attention,attn}_to_{k,v}; d>d+2k attention_qkv;
    d>f feed_forward_{w1,w3,linear_1,linear_3}; f>d feed_forward_{w2,linear_2};
"""


def _lumina(word: str | None, letters: Mapping[str, int], depth: int) -> Base:
    norm = "m>4d adaLN_modulation_{0,1} norm1_linear"
    return Base(
        word,
        letters,
        {
            f"layers {depth}": _LUMINA_BLOCK + norm,
            "noise_refiner 2": _LUMINA_BLOCK + norm,
            "context_refiner 2": _LUMINA_BLOCK,
        },
    )


_CROSS = "d>d attn{1,2}_to_{q,out} attn1_to_{k,v}; t>d attn2_to_{k,v}; d>4d ff_net_0_proj; 4d>d ff_net_2;"
_LTX_AUDIO = """
    a>a audio_attn{1,2}_to_{q,k,v,out}; a>4a audio_ff_net_0_proj; 4a>a audio_ff_net_2;
    d>a audio_to_video_attn_to_q video_to_audio_attn_to_{k,v}; a>d audio_to_video_attn_to_out;
    a>a audio_to_video_attn_to_{k,v} video_to_audio_attn_to_{q,out};
    *>* {attn1,attn2,audio_attn1,audio_attn2,audio_to_video_attn,video_to_audio_attn}_to_gate_logits
"""


def _cosmos(width: int, depth: int) -> Base:
    norms = "d>* norm{1,2,3}_linear_1; *>3d norm{1,2,3}_linear_2"
    return Base(None, {"d": width, "t": 1024}, {f"transformer_blocks {depth}": _CROSS + norms})


def _kandinsky5(width: int, ff: int, texts: int, depth: int) -> Base:
    block = """
        d>d self_attention_to_{query,key,value} self_attention_out_layer; d>f feed_forward_in_layer;
        f>d feed_forward_out_layer;
    """
    return Base(
        "kandinsky5",
        {"d": width, "f": ff},
        {
            f"text_transformer_blocks {texts}": block + "*>6d text_modulation_out_layer",
            f"visual_transformer_blocks {depth}": block + "*>9d visual_modulation_out_layer;"
            "d>d cross_attention_to_{query,key,value} cross_attention_out_layer",
        },
    )


_HIDREAM_BLOCK = """
    d>d block_attn1_to_{q,k,v,out};
    d>e block_ff_i_shared_experts_w{1,3}; e>d block_ff_i_shared_experts_w2;
    d>f block_ff_i_experts_{0,1,2,3}_w{1,3}; f>d block_ff_i_experts_{0,1,2,3}_w2;
"""

_KREA_BLOCK = """
    d>d attn_{wq,wo,gate} attn_to_{q,out,gate}; d>k attn_{wk,wv} attn_to_{k,v}; d>d+2k attn_to_qkv;
    d>f {mlp,ff}_{gate,up} mlp_w{1,3}; f>d {mlp,ff}_down mlp_w2
"""
_KREA_TEXT = """
    t>t attn_{wq,wk,wv,wo,gate} attn_to_{q,k,v,out,gate}; t>3t attn_to_qkv;
    t>e {mlp,ff}_{gate,up} mlp_w{1,3}; e>t {mlp,ff}_down mlp_w2
"""

_H3_BLOCK = """
    5376>21504 attn_qkv_proj; 5376>7168 attn_to_{q,k,v}; 7168>5376 attn_out_proj attn_to_out;
    5376>28672 mlp_fc1 ff_net_0_proj; 14336>5376 mlp_fc2 ff_net_2;
"""


def _ernie(width: int, ff: int, depth: int) -> Base:
    block = "d>d self_attention_to_{q,k,v,out}; d>f mlp_{gate,up}_proj; f>d mlp_linear_fc2"
    return Base("ernie", {"d": width, "f": ff}, {f"layers {depth}": block})


BASES: Final = (
    # U-Nets
    Base("sd1", {"t": 768}, encoders={0: 768, 1: 768}, unet=(1, 1, 1, 0)),
    Base("sd2", {"t": 1024}, encoders={0: 1024, 1: 1024}, unet=(1, 1, 1, 0)),
    Base("sdxl", {"t": 2048}, encoders={0: 768, 1: 768, 2: 1280}, unet=(0, 2, 10)),
    # Flux.1, its descendants, and models of its layers
    Base(
        "flux1",
        {"d": 3072},
        _with(
            _FLUX,
            {
                "transformer_blocks 19": _JOINT_NORMS,
                "single_transformer_blocks 38": _SINGLE_NORM,
                "double_blocks 19": "d>6d {img,txt}_mod_lin",
                "single_blocks 38": """
                    d>3d modulation_lin norm_linear qkv; d>7d to_qkv_mlp; 5d>d proj_out proj
                """,
                "blocks 19": """
                    d>3d attn_{a,b}_to_qkv; d>d attn_{a,b}_to_out; d>4d ff_{a,b}_0; 4d>d ff_{a,b}_2;
                    d>6d norm1_{a,b}_linear
                """,
                "": _FLUX_ENDS
                + """
                    *>d time_text_embed_{timestep,text,guidance}_embedder_linear_{1,2};
                    *>d {time,vector,guidance}_in_{in,out}_layer
                """,
            },
        ),
        encoders={0: 768, 1: 768},
    ),
    Base(
        "chroma",
        {"d": 3072},
        _with(
            _FLUX,
            {
                "distilled_guidance_layer_layers 5": "*>* {in,out}_layer linear_{1,2}",
                "nerf_blocks 4": "*>* param_generator",
                "": _FLUX_ENDS + "*>* distilled_guidance_layer_{in,out}_proj",
            },
        ),
    ),
    *(
        # The layers that Replicate and SimpleTuner (`tiny`, `nano`) train by default or by name
        Base("flux1", {}, {f"single_transformer_blocks {numbers}": "15360>3072 proj_out"})
        for numbers in ("7,12,16,20", "7,20", "7,")
    ),
    *_twins(19, 38),  # Bria, FIBO and LongCat-Image, as diffusers' classes are by default
    _flux_like(8, 28),  # Bria 3.2
    _flux_like(8, 38, more="*>* caption_projection"),  # FIBO
    _flux_like(10, 20, "3584"),  # LongCat-Image
    _flux_like(6, 27, "2048"),  # Ovis-Image, without its feed-forward
    Base(
        None,  # AuraFlow and Pony V7
        {"d": 3072},
        {
            "joint_transformer_blocks 4": _JOINT,
            "single_transformer_blocks 32": "d>d attn_to_{q,k,v,out}; d>3d attn_to_qkv",
        },
    ),
    Base(
        None,  # Flux.3
        {"d": 3072},
        {
            "single_transformer_blocks 28": "d>d attn_to_{q,k,v,out}",
            "mode_blocks_image 5": "d>d attn_to_{q,k,v,out}",
        },
    ),
    _flux2(3072, 5, 20, 7680),  # Klein 4B
    _flux2(4096, 8, 24, 12288),  # Klein 9B
    _flux2(6144, 8, 48, 15360),  # Dev
    # Other joint attention
    _hunyuan("hunyuan-video", 3072, 20, 40),
    *_twins(20, 40, "4096>d context_embedder_linear_1"),  # Motif-Video
    _hunyuan("hunyuan-video", 2048, 54, 0, _DOUBLE_FF + "d>6d {img,txt}_mod_lin"),  # 1.5
    _hunyuan(None, 3584, 20, 40),  # HunyuanImage 2.1
    _sd3(1536, 24),
    _sd3(2432, 38),
    _sd3(1152, 18),
    _qwen("qwen-image", 60),
    _qwen(None, 12),  # MageFlow
    Base(None, {"d": 4096}, {"transformer_blocks 32": "d>d attn_to_{q,k,v,out}"}),  # Qwen-Image 2.1
    Base(None, {"d": 2048}, {"transformer_blocks 24": _JOINT}),  # NucleusMoE-Image
    Base(
        None, {"d": 2048}, {"transformer_blocks 36": "d>d attn_to_{q,k,v,out}"}
    ),  # MiniMax Music 3
    # Self-attention, then cross-attention to the text
    _wan(1536, 30, 8960),
    _wan(2048, 32, 8192),
    _wan(3072, 30, 14336),
    _wan(5120, 40, 13824, _WAN_ANIMATE),
    Base("ltx", {"d": 2048, "t": 2048}, {"transformer_blocks 28": _CROSS}),
    Base(
        "ltx",
        {"d": 4096, "t": 4096, "a": 2048},
        {
            "transformer_blocks 48": _CROSS + _LTX_AUDIO,
            "video_embeddings_connector_transformer_1d_blocks 8": _CROSS,
            "audio_embeddings_connector_transformer_1d_blocks 8": "*>* attn1_to_{q,k,v,out}",
        },
    ),
    _cosmos(2048, 28),
    _cosmos(4096, 28),
    Base(
        "anima",
        {"d": 2048},
        {
            "blocks 28": """
                d>d {self,cross}_attn_{q,output}_proj self_attn_{k,v}_proj; *>d cross_attn_{k,v}_proj;
                d>4d mlp_layer1; 4d>d mlp_layer2; *>* adaln_modulation_{self_attn,cross_attn,mlp}_{1,2}
            """,
            "llm_adapter_blocks 6": "*>* {self,cross}_attn_{q,k,v,o,output}_proj mlp_{0,2}",
        },
    ),
    _kandinsky5(1792, 7168, 2, 32),
    _kandinsky5(2048, 5120, 2, 32),
    _kandinsky5(2560, 10240, 2, 50),
    _kandinsky5(4096, 16384, 4, 60),
    Base(
        None,  # Kandinsky 6, super-resolution
        {"d": 1792},
        {
            "visual_transformer_blocks 32": """
                d>d self_attention_to_{query,key,value} self_attention_out_layer
            """
        },
    ),
    # One stream
    _lumina("z-image", {"d": 3840, "k": 3840, "f": 10240, "m": 256}, 30),
    _lumina("lumina2", {"d": 2304, "k": 768, "f": 9216, "m": 1024}, 26),
    Base(
        "hidream",
        {"d": 2560, "e": 3584, "f": 6912},
        {
            "double_stream_blocks 16": _HIDREAM_BLOCK
            + """
                d>12d block_adaLN_modulation_1; d>d block_attn1_to_{q,k,v,out}_t;
                d>f block_ff_t_w{1,3}; f>d block_ff_t_w2
            """,
            "single_stream_blocks 32": _HIDREAM_BLOCK + "d>6d block_adaLN_modulation_1",
        },
        encoders={1: 768, 2: 1280},
    ),
    Base(
        "krea2",
        {"d": 6144, "k": 1536, "f": 16384, "t": 2560, "e": 6912},
        {
            "blocks 28": _KREA_BLOCK,
            "transformer_blocks 28": _KREA_BLOCK,
            "txtfusion_layerwise_blocks 2": _KREA_TEXT,
            "txtfusion_refiner_blocks 2": _KREA_TEXT,
            "text_fusion_layerwise_blocks 2": _KREA_TEXT,
            "text_fusion_refiner_blocks 2": _KREA_TEXT,
            "": "12>1 {txtfusion,text_fusion}_projector; 64>d img_in",
        },
    ),
    Base(
        "ideogram4",
        {"d": 4608, "f": 12288},
        {
            "layers 34": """
                d>d attention_{o,out,to_q,to_k,to_v,to_out}; d>3d attention_qkv; d>f feed_forward_w{1,3};
                f>d feed_forward_w2; 512>4d adaln_modulation
            """
        },
    ),
    _ernie(3072, 8192, 24),
    _ernie(4096, 12288, 36),
    Base(
        "minimax-h3",
        {},
        {
            "blocks 50": _H3_BLOCK + "2688>96768 adaln_proj_linear",
            "transformer_blocks 50": _H3_BLOCK + "2688>96768 adaln_proj_linear",
            "token_refiner_blocks 2": _H3_BLOCK,
            "token_refiner_refiner_blocks 2": _H3_BLOCK,
            "": "*>* final_layer_adaln_proj_linear context_embedder",
        },
    ),
    Base("llm", {}, {"model_layers 999": "*>* self_attn_{q,k,v,o}_proj mlp_{gate,up,down}_proj"}),
)
