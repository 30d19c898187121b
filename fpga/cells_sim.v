// Models of the ECP5 cells that fpga/ecp5.py instantiates, for simulation only (yosys has none of the multiplier).

// 18 x 18 bit multiplier. Modelled: operand, pipeline and output registers on CLK0/CE0/RST0 or bypassed, signed or not.
// Not modelled: shift chains, the C operand, other clocks; using them stops the simulation.
module MULT18X18D #(
    parameter REG_INPUTA_CLK = "NONE", parameter REG_INPUTA_CE = "CE0", parameter REG_INPUTA_RST = "RST0",
    parameter REG_INPUTB_CLK = "NONE", parameter REG_INPUTB_CE = "CE0", parameter REG_INPUTB_RST = "RST0",
    parameter REG_INPUTC_CLK = "NONE", parameter REG_INPUTC_CE = "CE0", parameter REG_INPUTC_RST = "RST0",
    parameter REG_PIPELINE_CLK = "NONE", parameter REG_PIPELINE_CE = "CE0", parameter REG_PIPELINE_RST = "RST0",
    parameter REG_OUTPUT_CLK = "NONE", parameter REG_OUTPUT_CE = "CE0", parameter REG_OUTPUT_RST = "RST0",
    parameter CLK0_DIV = "ENABLED", parameter CLK1_DIV = "ENABLED",
    parameter CLK2_DIV = "ENABLED", parameter CLK3_DIV = "ENABLED",
    parameter HIGHSPEED_CLK = "NONE", parameter GSR = "ENABLED", parameter CAS_MATCH_REG = "FALSE",
    parameter SOURCEB_MODE = "B_SHIFT", parameter MULT_BYPASS = "DISABLED", parameter RESETMODE = "SYNC"
) (
    input A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0,
    input B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0,
    input C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0,
    input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB, CLK0, CE0, RST0,
    output P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18,
    output P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
);
    wire [17:0] a = {A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0};
    wire [17:0] b = {B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0};

    reg [17:0] a_register, b_register;
    reg [35:0] pipeline_register, output_register;
    wire [17:0] a_used = REG_INPUTA_CLK == "NONE" ? a : a_register;
    wire [17:0] b_used = REG_INPUTB_CLK == "NONE" ? b : b_register;
    // A nineteenth bit makes one signed product of all four cases.
    wire signed [18:0] a_wide = {SIGNEDA & a_used[17], a_used};
    wire signed [18:0] b_wide = {SIGNEDB & b_used[17], b_used};
    wire signed [37:0] full = a_wide * b_wide;
    wire [35:0] pipelined = REG_PIPELINE_CLK == "NONE" ? full[35:0] : pipeline_register;
    assign {P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18,
            P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0}
        = REG_OUTPUT_CLK == "NONE" ? pipelined : output_register;

    always @(posedge CLK0) begin
        if (RST0) begin
            a_register <= 0;
            b_register <= 0;
            pipeline_register <= 0;
            output_register <= 0;
        end else if (CE0) begin
            a_register <= a;
            b_register <= b;
            pipeline_register <= full[35:0];
            output_register <= pipelined;
        end
        if (SOURCEA || SOURCEB) $fatal(1, "MULT18X18D: shift chains are not modelled");
    end

    generate
        if ((REG_INPUTA_CLK != "NONE" && REG_INPUTA_CLK != "CLK0")
            || (REG_INPUTB_CLK != "NONE" && REG_INPUTB_CLK != "CLK0")
            || (REG_PIPELINE_CLK != "NONE" && REG_PIPELINE_CLK != "CLK0")
            || (REG_OUTPUT_CLK != "NONE" && REG_OUTPUT_CLK != "CLK0")
            || REG_INPUTC_CLK != "NONE" || RESETMODE != "SYNC" || MULT_BYPASS != "DISABLED")
            initial $fatal(1, "MULT18X18D: only CLK0, CE0, RST0 and synchronous reset are modelled");
    endgenerate
endmodule

// Two LUT4 with carry. Each half adds: sum = lut(a, b, c, d) ^ carry, and where the LUT gives 0 the carry out is
// lut(a, b, 0, 0). INJECT1 cuts the carry into the sum and the generated carry.
module CCU2C #(
    parameter [15:0] INIT0 = 16'h0000, parameter [15:0] INIT1 = 16'h0000,
    parameter INJECT1_0 = "YES", parameter INJECT1_1 = "YES"
) (
    input CIN, A0, B0, C0, D0, A1, B1, C1, D1,
    output S0, S1, COUT
);
    wire propagate0 = INIT0[{D0, C0, B0, A0}];
    wire propagate1 = INIT1[{D1, C1, B1, A1}];
    wire generate0 = INJECT1_0 == "NO" & INIT0[{2'b00, B0, A0}];
    wire generate1 = INJECT1_1 == "NO" & INIT1[{2'b00, B1, A1}];
    wire middle = propagate0 ? CIN : generate0;
    assign COUT = propagate1 ? middle : generate1;
    assign S0 = propagate0 ^ (INJECT1_0 == "NO" & CIN);
    assign S1 = propagate1 ^ (INJECT1_1 == "NO" & middle);
endmodule
